"""What a deployed file says about its network besides weights, the same keys in every format."""

import importlib.metadata
import json
from typing import Any

from export.errors import HardspikeError
from export.network import Network, Reset

TIME_BASE = "no layer delay"


def package_version() -> str:
    """Return the version of hardspike that writes the file."""
    try:
        return importlib.metadata.version("hardspike")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def reset_of(network: Network[Any]) -> Reset:
    """Return what a spike does to the membrane, the same in every layer.

    Raises:
        HardspikeError: layers differ in it.
    """
    resets: set[Reset] = {layer.neuron.reset for layer in network.layers}
    if len(resets) > 1:
        raise HardspikeError("reset: found zero and subtract in one network, allowed is one")
    return resets.pop()


def describe(network: Network[Any], schema: str) -> dict[str, str]:
    """Return schema, time base, reset, readout, steps, dt, classes and version as text.

    `dt` is written so that it reads back to the same float; `classes` is a JSON list.

    Raises:
        HardspikeError: layers differ in their reset.
    """
    return {
        "schema": schema,
        "version": package_version(),
        "time_base": TIME_BASE,
        "reset": reset_of(network),
        "readout": network.readout,
        "steps": str(network.steps),
        "dt": repr(float(network.dt)),
        "classes": json.dumps(network.classes, ensure_ascii=False),
        "input_max": str(network.input_max),
    }
