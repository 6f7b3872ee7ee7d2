"""How this project reads a graph from elsewhere: the study's one contact with the import."""

import importlib
import importlib.util
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.interop_study.reading import Reading, evaluate, read_graph
from export.network import Array

_IMPORT = "export.imported"
Reset = Literal["zero", "subtract"]


def has_import() -> bool:
    """Whether this checkout can import graphs at all."""
    return importlib.util.find_spec(_IMPORT) is not None


def run_imported(
    path: Path, inputs_BTN: Array, dt: float, reset: Reset = "zero"
) -> dict[str, Array]:
    """Return what every node puts out, (B, T, ...), with `--dt` and `--reset` of the import.

    Without an import in the checkout, the plain reading of NIR is all there is.

    Raises:
        HardspikeError: the file is refused.
    """
    if not has_import():
        return dict(evaluate(read_graph(path), inputs_BTN, Reading(dt, reset)).outputs)
    read = importlib.import_module(f"{_IMPORT}.nir_reader").read_nir_graph
    run = importlib.import_module(f"{_IMPORT}.evaluate").evaluate_graph
    outputs = run(read(path), np.moveaxis(inputs_BTN, 0, 1), dt, reset)
    return {name: np.moveaxis(values, 0, 1) for name, values in outputs.items()}
