"""Networks of Norse, written as NIR and run, and files of NIR run by it; see `exchange`."""

from functools import partial
from pathlib import Path
from typing import Any

import nir
import norse.torch as norse
import numpy as np
import torch
from exchange import Built, Recorder, Toolkit, filled, main, neuron_modules
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.leaky_integrator_box import LIBoxParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract, reset_value
from norse.torch.module.iaf import IAFCell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif import LIFCell
from norse.torch.module.lif_box import LIFBoxCell
from torch import nn

DT = 1e-3
LEAK, RESET = 0.125, -0.25


def built(
    input_shape: tuple[int, ...], *, inferred: bool = False, batched: bool = False, **modules: Any
) -> Built:
    """Return a network whose states Norse's `SequentialState` hands on.

    `inferred` fills in the shapes that Norse leaves out of a graph before it is written. `batched`
    exports by a sample with an axis of recordings, which Norse then writes into the input's shape.
    """
    module = norse.SequentialState(*modules.values())
    neurons = (IAFCell, LIBoxCell, LIFBoxCell, LIFCell, norse.LIFRecurrentCell)
    layers = tuple(name for name, child in module.named_children() if isinstance(child, neurons))

    def run(inputs_BTN: Any) -> dict[str, Any]:
        recorder = Recorder().listen(module, layers)
        state = None
        for step in range(inputs_BTN.shape[1]):
            _, state = module(inputs_BTN[:, step], state)
        return {name: np.moveaxis(value, 0, 1) for name, value in recorder.stacked().items()}

    def export(path: Path) -> None:
        with torch.enable_grad():
            graph = norse.to_nir(module, torch.zeros(*[1] * batched, *input_shape), dt=DT)
        if inferred:
            graph.infer_types()
        nir.write(path, graph)

    return Built(module, input_shape, layers, run, export)


def _each(value: float, *shape: int) -> Any:
    return torch.full(shape, value)


def lif(count: int, reset: Any = reset_value, *, v_leak: float = 0.0, v_reset: float = 0.0) -> Any:
    """Return neurons that keep 0.9 of the membrane a step of 1 ms."""
    return LIFBoxCell(
        LIFBoxParameters(
            tau_mem_inv=_each(100.0, count),
            v_leak=_each(v_leak, count),
            v_th=_each(0.3, count),
            v_reset=_each(v_reset, count),
            reset_method=reset,
        ),
        dt=DT,
    )


def dense(
    random: np.random.Generator,
    reset: Any = reset_value,
    *,
    batched: bool = False,
    **potentials: float,
) -> Built:
    """Return two dense layers of `LIFBoxCell`."""
    return built(
        (12,),
        batched=batched,
        fc1=filled(nn.Linear(12, 10), random),
        lif1=lif(10, reset, **potentials),
        fc2=filled(nn.Linear(10, 5), random),
        lif2=lif(5, reset, **potentials),
    )


def integrate(random: np.random.Generator) -> Built:
    """Return two dense layers of `IAFCell`."""
    return built(
        (12,),
        fc1=filled(nn.Linear(12, 10), random, 1 / 8),
        lif1=IAFCell(IAFParameters(v_th=_each(1.0, 10))),
        fc2=filled(nn.Linear(10, 5), random, 1 / 8),
        lif2=IAFCell(IAFParameters(v_th=_each(1.0, 5))),
    )


def current(random: np.random.Generator) -> Built:
    """Return two dense layers of `LIFCell`, which has a synaptic current."""

    def neuron(count: int) -> Any:
        return LIFCell(
            LIFParameters(
                tau_syn_inv=_each(500.0, count),
                tau_mem_inv=_each(200.0, count),
                v_leak=_each(0.0, count),
                v_th=_each(0.5, count),
                v_reset=_each(0.0, count),
            ),
            dt=DT,
        )

    return built(
        (12,),
        fc1=filled(nn.Linear(12, 10, bias=False), random),
        lif1=neuron(10),
        fc2=filled(nn.Linear(10, 5, bias=False), random),
        lif2=neuron(5),
    )


def readout(random: np.random.Generator) -> Built:
    """Return a layer of `LIFBoxCell` and one that integrates with a leak, `LIBoxCell`."""
    last = LIBoxCell(LIBoxParameters(tau_mem_inv=_each(100.0, 5), v_leak=_each(0.0, 5)), dt=DT)
    return built(
        (12,),
        fc1=filled(nn.Linear(12, 10), random),
        lif1=lif(10),
        fc2=filled(nn.Linear(10, 5), random),
        lif2=last,
    )


def convolution(random: np.random.Generator, *, pooled: bool = True, **more: Any) -> Built:
    """Return a convolution and a dense layer, with pooling between unless told not to."""
    neuron = LIFBoxCell(
        LIFBoxParameters(
            tau_mem_inv=_each(100.0, 4, 6, 6),
            v_leak=_each(0.0, 4, 6, 6),
            v_th=_each(0.3, 4, 6, 6),
            v_reset=_each(0.0, 4, 6, 6),
        ),
        dt=DT,
    )
    first = {"conv": filled(nn.Conv2d(2, 4, 3, padding=1), random), "lif1": neuron}
    if not pooled:
        return built((2, 6, 6), **first, **more)
    return built(
        (2, 6, 6),
        **first,
        **more,
        pool=nn.AvgPool2d(2),
        flat=nn.Flatten(),
        fc=filled(nn.Linear(36, 5), random),
        lif2=lif(5),
    )


def recurrent(random: np.random.Generator) -> Built:
    """Return a layer of `LIFRecurrentCell`."""
    cell = norse.LIFRecurrentCell(12, 10)
    return built((12,), lif1=cell, fc=filled(nn.Linear(10, 5), random), lif2=lif(5))


def run_file(path: Path, inputs_BTN: Any, dt: float) -> dict[str, Any]:
    """Run a file, recording by recording without a batch axis: its Flatten takes all axes."""
    recordings = []
    for inputs_TN in inputs_BTN:
        module = norse.from_nir(nir.read(path), dt=dt)
        names = neuron_modules(path, module)
        recorder = Recorder().listen(module, names.values())
        state = None
        for step_N in inputs_TN:
            _, state = module(step_N, state)
        seen = recorder.stacked()
        recordings.append({node: seen[name] for node, name in names.items()})
    return {node: np.stack([one[node] for one in recordings]) for node in recordings[0]}


NETWORKS = {
    "dense-lif": dense,
    "dense-lif-batched": partial(dense, batched=True),
    "dense-lif-subtract": partial(dense, reset=reset_subtract),
    "dense-lif-leak": partial(dense, v_leak=LEAK),
    "dense-lif-v-reset": partial(dense, v_reset=RESET),
    "dense-if": integrate,
    "conv": partial(convolution, pooled=False),
    "conv-inferred": partial(convolution, pooled=False, inferred=True),
    "conv-pool": partial(convolution, batched=True),
    "cuba": current,
    "recurrent": recurrent,
    "readout": readout,
}

if __name__ == "__main__":
    main(Toolkit(("norse", "nir", "nirtorch", "torch", "numpy"), NETWORKS, run_file))
