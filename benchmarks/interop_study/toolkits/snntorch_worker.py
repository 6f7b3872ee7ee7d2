"""Networks of snnTorch, written as NIR and run, and files of NIR run by it; see `exchange`.

`beta` and `threshold` are given for every neuron: with the scalars that are usual there snnTorch
1.0.0 makes arrays of no dimension, which nir 1.0.8 cannot write (`dense-lif-scalar` shows it).
"""

from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import snntorch
import torch
from exchange import Built, Recorder, Toolkit, filled, main, neuron_modules
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir
from torch import nn

Names = tuple[str, ...]


def built(module: Any, input_shape: tuple[int, ...]) -> Built:
    """Return a network of modules that keep their state themselves."""
    layers = tuple(
        name for name, child in module.named_children() if isinstance(child, snntorch.SpikingNeuron)
    )

    def export(path: Path) -> None:
        _forget(module)
        graph = export_to_nir(module, torch.zeros(1, *input_shape), ignore_dims=[0])
        nir.write(path, graph)

    return Built(module, input_shape, layers, partial(_run, module, layers), export)


def endless(module: Any, _output: Any) -> Any:
    """Return the membrane of a neuron whose threshold is out of reach, None of another."""
    return module.mem if torch.isinf(module.threshold).all() else None


def _forget(module: Any) -> None:
    for child in module.modules():
        if isinstance(child, snntorch.SpikingNeuron):
            child.reset_mem()


def _run(module: Any, layers: Names, inputs_BTN: Any) -> dict[str, Any]:
    recorder = Recorder().listen(module, layers)
    _forget(module)
    for step in range(inputs_BTN.shape[1]):
        module(inputs_BTN[:, step])
    return {name: np.moveaxis(value, 0, 1) for name, value in recorder.stacked().items()}


def _stack(**modules: Any) -> Any:
    stack = nn.Sequential()
    for name, module in modules.items():
        stack.add_module(name, module)
    return stack


def _each(value: float, *shape: int) -> Any:
    return torch.full(shape, value)


def dense(
    random: np.random.Generator, *, scalar: bool = False, beta: float = 0.9, **more: Any
) -> Built:
    """Return two dense layers of `Leaky`."""

    def leaky(count: int) -> Any:
        decay, threshold = (beta, 1.0) if scalar else (_each(beta, count), _each(1.0, count))
        return snntorch.Leaky(beta=decay, threshold=threshold, init_hidden=True, **more)

    step = None if beta < 1 else 1 / 8
    return built(
        _stack(
            fc1=filled(nn.Linear(12, 10), random, step),
            lif1=leaky(10),
            fc2=filled(nn.Linear(10, 5, bias=False), random, step),
            lif2=leaky(5),
        ),
        (12,),
    )


def convolution(random: np.random.Generator, **more: Any) -> Built:
    """Return a convolution, average pooling and a dense layer."""

    def leaky(*shape: int) -> Any:
        return snntorch.Leaky(
            beta=_each(0.8, *shape), threshold=_each(1.0, *shape), init_hidden=True, **more
        )

    return built(
        _stack(
            conv=filled(nn.Conv2d(2, 4, 3, padding=1), random),
            lif1=leaky(4, 6, 6),
            pool=nn.AvgPool2d(2),
            flat=nn.Flatten(),
            fc=filled(nn.Linear(36, 5), random),
            lif2=leaky(5),
        ),
        (2, 6, 6),
    )


def synaptic(random: np.random.Generator, *, bias: bool = False, **more: Any) -> Built:
    """Return two dense layers of `Synaptic`."""

    def neuron(count: int) -> Any:
        return snntorch.Synaptic(
            alpha=_each(0.5, count),
            beta=_each(0.8, count),
            threshold=_each(1.5, count),
            init_hidden=True,
            **more,
        )

    return built(
        _stack(
            fc1=filled(nn.Linear(12, 10, bias=bias), random),
            lif1=neuron(10),
            fc2=filled(nn.Linear(10, 5, bias=bias), random),
            lif2=neuron(5),
        ),
        (12,),
    )


def recurrent(random: np.random.Generator, **more: Any) -> Built:
    """Return a layer of `RLeaky` and one of `Leaky`."""
    loop = snntorch.RLeaky(
        beta=_each(0.8, 10), threshold=_each(1.0, 10), linear_features=10, init_hidden=True, **more
    )
    filled(loop.recurrent, random)
    last = snntorch.Leaky(beta=_each(0.8, 5), threshold=_each(1.0, 5), init_hidden=True, **more)
    return built(
        _stack(
            fc1=filled(nn.Linear(12, 10), random),
            lif1=loop,
            fc2=filled(nn.Linear(10, 5), random),
            lif2=last,
        ),
        (12,),
    )


def run_file(path: Path, inputs_BTN: Any, _dt: float) -> dict[str, Any]:
    """Run a file, recording by recording without a batch axis: its Flatten takes all axes."""
    recordings = []
    for inputs_TN in inputs_BTN:
        module = import_from_nir(nir.read(path))
        names = neuron_modules(path, module)
        recorder = Recorder().listen(module, names.values(), endless)
        state = None
        for step_N in inputs_TN:
            _, state = module(step_N, state)
        seen = recorder.stacked()
        recordings.append({node: seen[name] for node, name in names.items()})
    return {node: np.stack([one[node] for one in recordings]) for node in recordings[0]}


NETWORKS = {
    "dense-lif": partial(dense, reset_mechanism="zero"),
    "dense-lif-subtract": dense,
    "dense-lif-subtract-at-once": partial(dense, reset_delay=False),
    "dense-lif-scalar": partial(dense, scalar=True),
    "dense-if": partial(dense, beta=1.0, reset_mechanism="zero"),
    "dense-if-subtract": partial(dense, beta=1.0),
    "conv-pool": partial(convolution, reset_mechanism="zero"),
    "conv-pool-subtract": convolution,
    "cuba": partial(synaptic, reset_mechanism="zero"),
    "cuba-subtract": synaptic,
    "cuba-at-once": partial(synaptic, reset_mechanism="zero", reset_delay=False),
    "cuba-bias": partial(synaptic, bias=True, reset_mechanism="zero", reset_delay=False),
    "recurrent": partial(recurrent, reset_mechanism="zero"),
    "recurrent-subtract": recurrent,
    "recurrent-at-once": partial(recurrent, reset_mechanism="zero", reset_delay=False),
    "dense-lif-no-reset": partial(dense, reset_mechanism="none"),
}

if __name__ == "__main__":
    main(Toolkit(("snntorch", "nir", "nirtorch", "torch", "numpy"), NETWORKS, run_file))
