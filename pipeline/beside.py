"""Measurements that lie beside the stages of a run, each made by a command of its own.

The report takes in those that are there; its stage is due again when one of them changes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.files import read_json, sha256

BESIDE: Mapping[str, str] = {
    "robustness": "robustness/robustness.json",
    "latency": "latency/latency.json",
    "energy": "energy/energy.json",
    "footprint": "footprint/footprint.json",
}
"""Section of the report → the file that it is read from."""


def read_beside(run: Path) -> dict[str, Any]:
    """Return section → what its file holds, None where there is none.

    Raises:
        HardspikeError: a file is not JSON.
    """
    return {
        name: read_json(run / file) if (run / file).exists() else None
        for name, file in BESIDE.items()
    }


def beside_hashes(run: Path) -> dict[str, str]:
    """Return file → SHA-256 of the measurements that are there."""
    return {file: sha256(run / file) for file in BESIDE.values() if (run / file).exists()}
