"""Fields of a layer that no rule here knows: compared by value, so that none is passed over."""

import dataclasses
from typing import Any

import numpy as np

from export.network import Conv, Layer

_KNOWN = {
    *("name", "synapse", "neuron", "scale"),
    *("threshold_N", "membrane_decay_O", "current_decay_O"),
}
_KNOWN_OF_NEURON = {
    *("decay", "threshold", "membrane_decay", "current_decay"),
    *("reset", "refractory", "bias_filtered"),
}
_KNOWN_OF_SYNAPSE = {"weight_OI", "weight_OIHW", "bias_O"}


def further_fields(layer: Layer[Any]) -> dict[str, Any]:
    """Return the fields of a layer, its neuron and its synapse that have no rule of their own.

    What says that there is nothing of the kind (None, 0, False) is left out.
    """
    sources = (
        (layer, _KNOWN),
        (layer.neuron, _KNOWN_OF_NEURON),
        (layer.synapse, _KNOWN_OF_SYNAPSE),
    )
    found = {
        item.name: getattr(source, item.name)
        for source, known in sources
        for item in dataclasses.fields(source)
        if item.name not in known
    }
    if isinstance(layer.synapse, Conv):
        found |= {"stride": tuple(found["stride"]), "padding": tuple(found["padding"])}
    return {name: value for name, value in found.items() if not _absent(value)}


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and value == 0)


def same_fields(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two sets of further fields are equal."""
    return not differences(one, other)


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return every field that differs, in words."""
    return [
        f"{name}: {_in_words(one.get(name))} in A, {_in_words(other.get(name))} in B"
        for name in sorted(one.keys() | other.keys())
        if not same_value(one.get(name), other.get(name))
    ]


def same_value(one: Any, other: Any) -> bool:
    """Whether two fields are equal: arrays and dataclasses by their values."""
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        names = [item.name for item in dataclasses.fields(one)]
        return all(same_value(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is not None and other is not None and np.array_equal(one, other)
    return bool(one == other)


def _in_words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, int | float | str | tuple):
        return str(value)
    if isinstance(value, np.ndarray):
        return f"{value.size} values up to {value.max()}"
    return "given"
