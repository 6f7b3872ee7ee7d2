"""How this project reads a graph from elsewhere: the study's one contact with the import."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.interop_study.settings import Built, Toolkit
from export.errors import HardspikeError
from export.imported.reading import Options, import_nir
from export.network import Array, Reset
from hardware.reference import run_float
from pipeline.imported.check_command import row_text
from pipeline.imported.check_file import check_file


def plainly(dt: float, reset: Reset = "zero") -> Options:
    """Return what tells the import of a step and a reset alone."""
    return Options(dt=dt, reset=reset)


def as_built(toolkit: Toolkit, built: Built) -> Options:
    """Return what tells the import who wrote a file, and what its user knows besides."""
    return Options(reset=built.reset, toolkit=toolkit.name, settings=built.settings)


def in_words(options: Options) -> str:
    """Return options as they are given on the command line."""
    settings = "".join(f" --setting {one}" for one in options.settings)
    return f"--from {options.toolkit} --reset {options.reset}{settings}"


def run_imported(path: Path, inputs_BTN: Array, options: Options) -> dict[str, Array]:
    """Return what nodes put out, (B, T, N), as layers of the network that `hardspike import` makes.

    The last layer's membranes stand for spikes it never has.

    Raises:
        HardspikeError: the file is refused.
    """
    lowered = import_nir(path, replace(options, steps=inputs_BTN.shape[1])).lowered
    network = lowered.network
    flat = inputs_BTN.reshape(*inputs_BTN.shape[:2], *network.input_shape)
    trace = run_float(network, flat.astype(np.uint8))
    layers: dict[str, Array] = dict(trace.spikes_BTN)
    if network.readout == "membrane":
        layers[network.layers[-1].name] = trace.membranes_BTN
    return {node: layers[layer] for node, layer in lowered.layer_of.items()}


def check_says(path: Path, options: Options, node: str) -> str:
    """Return what `hardspike check` prints of a node, or its one line where it refuses the file."""
    try:
        rows = check_file(path, options, ()).rows
    except HardspikeError as error:
        return str(error).replace(str(path), path.name)
    return next((row_text(row) for row in rows if row.node == node), "")
