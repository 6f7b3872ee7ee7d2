"""What a deployed file says about its network besides weights, the same keys in every format."""

import importlib.metadata
import json
from typing import Any

from export.network import Network

TIME_BASE = "no layer delay"
NIR_SCHEMA = "hardspike.nir/1"
"""Of NIR files that hardspike writes."""
MIXED_RESETS = "mixed"


def package_version() -> str:
    """Return the version of hardspike that writes the file."""
    try:
        return importlib.metadata.version("hardspike")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def describe(network: Network[Any], schema: str) -> dict[str, str]:
    """Return schema, time base, reset, readout, steps, dt, classes and version as text.

    `dt` is written so that it reads back to the same float; `classes` is a JSON list.
    """
    return {
        "schema": schema,
        "version": package_version(),
        "time_base": TIME_BASE,
        "reset": _reset(network),
        "readout": network.readout,
        "steps": str(network.steps),
        "dt": repr(float(network.dt)),
        "classes": json.dumps(network.classes, ensure_ascii=False),
        "input_max": str(network.input_max),
    }


def _reset(network: Network[Any]) -> str:
    resets = {layer.neuron.reset for layer in network.layers}
    return str(resets.pop()) if len(resets) == 1 else MIXED_RESETS
