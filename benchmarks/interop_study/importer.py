"""How this project reads a graph from elsewhere: the study's one contact with the import."""

from pathlib import Path

import numpy as np

from export.imported.reading import Options, import_nir
from export.network import Array, Reset
from hardware.reference import run_float


def run_imported(
    path: Path, inputs_BTN: Array, dt: float, reset: Reset = "zero"
) -> dict[str, Array]:
    """Return what nodes put out, (B, T, N), as layers of the network that `hardspike import` makes.

    `dt` and `reset` are its options; the last layer's membranes stand for spikes it never has.

    Raises:
        HardspikeError: the file is refused.
    """
    options = Options(dt=dt, reset=reset, steps=inputs_BTN.shape[1])
    lowered = import_nir(path, options).lowered
    network = lowered.network
    flat = inputs_BTN.reshape(*inputs_BTN.shape[:2], *network.input_shape)
    trace = run_float(network, flat.astype(np.uint8))
    layers: dict[str, Array] = dict(trace.spikes_BTN)
    if network.readout == "membrane":
        layers[network.layers[-1].name] = trace.membranes_BTN
    return {node: layers[layer] for node, layer in lowered.layer_of.items()}
