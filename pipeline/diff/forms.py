"""Weights that are another's turned over: flipped kernels, swapped axes, another order of inputs.

Axes: `O` output, `I` input (channels of a convolution), `C` channel, `H` height, `W` width.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from export.network import Conv, Shape, Synapse

Floats = NDArray[np.float64]
_FLIPS = {"H": 2, "W": 3}
_UNLIKE, _EXPLAINED = 0.3, 0.5


def distance(one: Floats, other: Floats) -> float:
    """Return ‖one − other‖ over the larger of both norms; 0 where both are zero."""
    largest = max(float(np.linalg.norm(one)), float(np.linalg.norm(other)))
    return float(np.linalg.norm(one - other)) / largest if largest else 0.0


def turned_form(one: Floats, other: Floats, synapse: Synapse, given: Shape) -> str | None:
    """Say how `other` must be turned to be like `one`; None if it is like it, or no turn helps.

    Both are weights of one unit and shape, `synapse` is of their kind and reads the shape `given`.
    A turn counts where it at least halves a distance above 0.3; of equal ones the first.
    """
    plain = distance(one, other)
    if plain <= _UNLIKE:
        return None
    forms = _conv_forms(other) if isinstance(synapse, Conv) else _dense_forms(other, given)
    found = min(
        ((distance(one, form), name) for name, form in forms if form.shape == one.shape),
        default=(math.inf, ""),
        key=lambda form: form[0],
    )
    return found[1] if found[0] <= _EXPLAINED * plain else None


def _conv_forms(weight_OIHW: Floats) -> Iterator[tuple[str, Floats]]:
    yield "negated", -weight_OIHW
    yield "kernels flipped in H and W", weight_OIHW[:, :, ::-1, ::-1]
    for name, axis in _FLIPS.items():
        yield f"kernels flipped in {name}", np.flip(weight_OIHW, axis)
    yield "kernels with H and W swapped", weight_OIHW.transpose(0, 1, 3, 2)
    yield (
        "kernels flipped, and H and W swapped",
        weight_OIHW[:, :, ::-1, ::-1].transpose(0, 1, 3, 2),
    )
    yield "input channels in reverse order", weight_OIHW[:, ::-1]
    yield "inputs and outputs swapped", weight_OIHW.transpose(1, 0, 2, 3)


def _dense_forms(weight_OI: Floats, given: Shape) -> Iterator[tuple[str, Floats]]:
    yield "negated", -weight_OI
    yield "inputs and outputs swapped", weight_OI.T
    yield "inputs in reverse order", weight_OI[:, ::-1]
    if len(given) != 3:
        return
    outputs = len(weight_OI)
    for order in list(itertools.permutations(range(3)))[1:]:
        stored = weight_OI.reshape(outputs, *(given[axis] for axis in order))
        back = [1 + order.index(axis) for axis in range(3)]
        name = ", ".join("CHW"[axis] for axis in order)
        yield f"inputs ordered ({name})", stored.transpose(0, *back).reshape(outputs, -1)
    image = weight_OI.reshape(outputs, *given)
    for order in list(itertools.permutations(range(3)))[1:]:
        name = ", ".join("CHW"[axis] for axis in order)
        turned = image.transpose(0, *(1 + axis for axis in order)).reshape(outputs, -1)
        yield f"inputs ordered (C, H, W) instead of ({name})", turned
    for axis, name in enumerate("CHW", 1):
        yield f"inputs flipped in {name}", np.flip(image, axis).reshape(outputs, -1)
