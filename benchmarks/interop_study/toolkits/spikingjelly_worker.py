"""Networks of SpikingJelly, written as NIR and run, and files of NIR run by it; see `exchange`."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from exchange import Built, Recorder, Toolkit, filled, main, neuron_modules
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

DT = 1e-4


def endless(module: Any, output: Any) -> Any:
    """Return the membrane of a neuron whose threshold is out of reach, None of another module.

    Modules that `import_from_nir` makes return their state, and keep none.
    """
    if not any(getattr(one, "v_threshold", 0) == float("inf") for one in module.modules()):
        return None
    return output[1][0] if isinstance(output, tuple) else module.v


def built(input_shape: tuple[int, ...], **modules: Any) -> Built:
    """Return a network of modules that keep their state themselves, run step by step."""
    module = nn.Sequential()
    for name, child in modules.items():
        module.add_module(name, child)
    layers = tuple(name for name in modules if name.startswith("lif"))

    def run(inputs_BTN: Any) -> dict[str, Any]:
        recorder = Recorder().listen(module, layers, endless)
        functional.reset_net(module)
        for step in range(inputs_BTN.shape[1]):
            module(inputs_BTN[:, step])
        functional.reset_net(module)
        return {name: np.moveaxis(value, 0, 1) for name, value in recorder.stacked().items()}

    def export(path: Path) -> None:
        export_to_nir(module, torch.zeros(1, *input_shape), save_path=path, dt=DT)

    return Built(module, input_shape, layers, run, export)


def dense(
    random: np.random.Generator, make: Any, step: float | None = None, *, bias: bool = True
) -> Built:
    """Return two dense layers of the neurons that `make` makes."""
    return built(
        (12,),
        fc1=filled(layer.Linear(12, 10, bias=bias), random, step),
        lif1=make(),
        fc2=filled(layer.Linear(10, 5, bias=False), random, step),
        lif2=make(),
    )


def convolution(random: np.random.Generator) -> Built:
    """Return a convolution, average pooling and a dense layer."""
    return built(
        (2, 6, 6),
        conv=filled(layer.Conv2d(2, 4, 3, padding=1), random),
        lif1=neuron.IFNode(),
        pool=layer.AvgPool2d(2),
        flat=layer.Flatten(),
        fc=filled(layer.Linear(36, 5), random),
        lif2=neuron.LIFNode(tau=2.5),
    )


def recurrent(random: np.random.Generator) -> Built:
    """Return a layer whose spikes come back to it."""
    return built(
        (12,),
        fc1=filled(layer.Linear(12, 10), random),
        lif1=layer.LinearRecurrentContainer(neuron.IFNode(), in_features=10, out_features=10),
        fc2=filled(layer.Linear(10, 5), random),
        lif2=neuron.IFNode(),
    )


def readout(random: np.random.Generator) -> Built:
    """Return a layer of `LIFNode` and one that has no threshold in reach, read by its membrane."""
    return built(
        (12,),
        fc1=filled(layer.Linear(12, 10), random),
        lif1=neuron.LIFNode(),
        fc2=filled(layer.Linear(10, 5), random),
        lif2=neuron.LIFNode(v_threshold=float("inf")),
    )


def run_file(path: Path, inputs_BTN: Any, dt: float) -> dict[str, Any]:
    """Run a file on all recordings at once."""
    module = import_from_nir(path, dt=dt)
    names = neuron_modules(path, module)
    recorder = Recorder().listen(module, names.values(), endless)
    state = None
    for step in range(inputs_BTN.shape[1]):
        _, state = module(inputs_BTN[:, step], state)
    seen = recorder.stacked()
    return {node: np.moveaxis(seen[name], 0, 1) for node, name in names.items()}


NETWORKS = {
    "dense-lif": partial(dense, make=partial(neuron.LIFNode, v_threshold=0.5)),
    "dense-lif-whole-input": partial(dense, make=partial(neuron.LIFNode, decay_input=False)),
    "dense-lif-learned-tau": partial(
        dense, make=partial(neuron.ParametricLIFNode, v_threshold=0.5)
    ),
    "dense-lif-subtract": partial(dense, make=partial(neuron.LIFNode, v_reset=None)),
    "dense-if": partial(dense, make=neuron.IFNode, step=1 / 8),
    "conv-pool": convolution,
    "cuba": partial(dense, make=neuron.CUBALIFNode, bias=False),
    "cuba-bias": partial(dense, make=neuron.CUBALIFNode),
    "recurrent": recurrent,
    "readout": readout,
}

if __name__ == "__main__":
    main(Toolkit(("spikingjelly", "nir", "nirtorch", "torch", "numpy"), NETWORKS, run_file))
