"""Networks of sinabs, written as NIR and run, and files of NIR run by it; see `exchange`.

Layers are those that take recordings and steps as one axis, (B·T, ...), as convolutions do.
"""

from functools import partial
from pathlib import Path
from typing import Any

import nir
import numpy as np
import sinabs
import sinabs.layers as sl
import torch
from exchange import Built, Recorder, Toolkit, filled, main, neuron_modules
from sinabs.activation import MembraneReset, MultiSpike, SingleSpike
from torch import nn

ONE_SPIKE = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}
"""At most one spike a step and a reset to zero; sinabs's own are several spikes and subtraction."""


def built(
    input_shape: tuple[int, ...], *, squeezed: bool = True, inferred: bool = False, **modules: Any
) -> Built:
    """Return a network of modules that keep their state themselves.

    `squeezed` modules take recordings and steps as one axis; `inferred` fills in the shapes that
    sinabs leaves out of a graph before it is written.
    """
    module = nn.Sequential()
    for name, child in modules.items():
        module.add_module(name, child)
    layers = tuple(name for name in modules if name.startswith("lif"))

    def run(inputs_BTN: Any) -> dict[str, Any]:
        recorder = Recorder().listen(module, layers)
        module(inputs_BTN.flatten(0, 1) if squeezed else inputs_BTN)
        count = inputs_BTN.shape[:2]
        return {
            name: one[0].reshape(*count, *one.shape[2:] if squeezed else one.shape[3:])
            for name, one in recorder.stacked().items()
        }

    def export(path: Path) -> None:
        for child in module.modules():
            if isinstance(child, sl.StatefulLayer):
                child.reset_states()
        sample = torch.zeros(4, *input_shape) if squeezed else torch.zeros(4, 1, *input_shape)
        graph = sinabs.to_nir(module, sample)
        if inferred:
            graph.infer_types()
        nir.write(path, graph)

    return Built(module, input_shape, layers, run, export)


def dense(random: np.random.Generator, make: Any, step: float | None = None) -> Built:
    """Return two dense layers of the neurons that `make` makes."""
    return built(
        (12,),
        fc1=filled(nn.Linear(12, 10), random, step),
        lif1=make(batch_size=4),
        fc2=filled(nn.Linear(10, 5, bias=False), random, step),
        lif2=make(batch_size=4),
    )


def convolution(random: np.random.Generator, *, inferred: bool = False) -> Built:
    """Return a convolution, sum pooling and a dense layer, with sinabs's own choices."""
    return built(
        (2, 6, 6),
        inferred=inferred,
        conv=filled(nn.Conv2d(2, 4, 3, padding=1, bias=False), random),
        lif1=sl.IAFSqueeze(batch_size=4),
        pool=sl.SumPool2d(2),
        flat=nn.Flatten(),
        fc=filled(nn.Linear(36, 5, bias=False), random),
        lif2=sl.IAFSqueeze(batch_size=4),
    )


def recurrent(random: np.random.Generator) -> Built:
    """Return a layer whose spikes come back to it."""
    loop = sl.LIFRecurrent(tau_mem=10.0, rec_connect=filled(nn.Linear(10, 10), random))
    return built((12,), squeezed=False, fc1=filled(nn.Linear(12, 10), random), lif1=loop)


def readout(random: np.random.Generator) -> Built:
    """Return a layer of `LIF` and one that integrates with a leak, `ExpLeak`."""
    return built(
        (12,),
        fc1=filled(nn.Linear(12, 10), random),
        lif1=lif(batch_size=4, **ONE_SPIKE),
        fc2=filled(nn.Linear(10, 5), random),
        lif2=sl.ExpLeakSqueeze(tau_mem=10.0, batch_size=4),
    )


def lif(**more: Any) -> Any:
    """Return neurons with a time constant of ten steps."""
    return sl.LIFSqueeze(tau_mem=10.0, spike_threshold=torch.tensor(0.2), **more)


def run_file(path: Path, inputs_BTN: Any, _dt: float) -> dict[str, Any]:
    """Run a file on all recordings at once."""
    count = inputs_BTN.shape[:2]
    module = sinabs.from_nir(nir.read(path), batch_size=count[0])
    names = neuron_modules(path, module)
    recorder = Recorder().listen(module, names.values())
    module(inputs_BTN.flatten(0, 1))
    seen = recorder.stacked()
    return {
        node: seen[name][0].reshape(*count, *seen[name].shape[2:]) for node, name in names.items()
    }


NETWORKS = {
    "dense-lif": partial(dense, make=partial(lif, **ONE_SPIKE)),
    "dense-lif-whole-input": partial(dense, make=partial(lif, norm_input=False, **ONE_SPIKE)),
    "dense-lif-subtract": partial(dense, make=partial(lif, spike_fn=SingleSpike)),
    "dense-lif-many-spikes": partial(dense, make=partial(lif, spike_fn=MultiSpike)),
    "dense-if": partial(dense, make=partial(sl.IAFSqueeze, **ONE_SPIKE), step=1 / 8),
    "dense-if-many-spikes": partial(dense, make=sl.IAFSqueeze, step=1 / 8),
    "dense-if-floor": partial(
        dense, make=partial(sl.IAFSqueeze, min_v_mem=-1.0, **ONE_SPIKE), step=1 / 8
    ),
    "conv-pool": convolution,
    "conv-pool-inferred": partial(convolution, inferred=True),
    "cuba": partial(dense, make=partial(lif, tau_syn=3.0, **ONE_SPIKE)),
    "recurrent": recurrent,
    "readout": readout,
    "cuba-if": partial(dense, make=partial(sl.IAFSqueeze, tau_syn=3.0, **ONE_SPIKE)),
}

if __name__ == "__main__":
    main(Toolkit(("sinabs", "nir", "nirtorch", "torch", "numpy"), NETWORKS, run_file))
