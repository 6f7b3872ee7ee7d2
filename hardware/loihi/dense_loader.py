"""What lava-dl's loader and Lava's dense model make of a matrix of weights.

The loader (`optimize_weight_bits`, `lava/lib/dl/netx/utils.py`, lava-dl 0.6.0) shifts the weights
left until the largest fills its bits, and states how many low bits are free. The model
(`lava/proc/dense/models.py` with `lava/utils/weightutils.py`, lava-nc 0.10.0) finds the sign mode
anew, clips, drops the low bits, sums, and shifts the sum back:

    mode      loader, in this order                          model, in this order
    inhib.    max < 0:   shift = ⌊log2(256 / −min)⌋          (2) max ≤ 0: clip |w| to 0…255
    excit.    min ≥ 0:   shift = ⌊log2(255 / max)⌋           (1) min ≥ 0: clip w to 0…255
    mixed     otherwise: shift = ⌊log2(min(127/max, 128/−min))⌋ + 1   (3) clip w to −256…255
    dropped   bits that are zero in every weight: shift + zeros − (loader mixed) + (model mixed)

The two disagree, and the weights change, only where no weight is positive and the least is −2^k:
shifted it is −256, which the model clips to −255 and truncates.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def shifted_weights(weight_OI: Array) -> tuple[Array, Array]:
    """Return (the loader's shifted weights, what the model makes of them), `(O, I)` each.

    Raises:
        ValueError: every weight is zero, where the loader divides by zero and stops.
    """
    shift, (used_OI,) = loaded_weights([weight_OI])
    return weight_OI.astype(np.int64) << shift, used_OI


def loaded_weights(parts: Sequence[Array]) -> tuple[int, list[Array]]:
    """Return (the loader's shift, what the model makes of each shifted part).

    A recurrent block has two parts, which the loader shifts as one matrix and the model takes
    apart, each with a sign mode of its own.

    Raises:
        ValueError: every weight is zero, where the loader divides by zero and stops.
    """
    whole = np.concatenate([part.astype(np.int64).ravel() for part in parts])
    least, largest = int(whole.min()), int(whole.max())
    if least == largest == 0:
        raise ValueError("every weight is zero")
    loader_mixed = largest >= 0 and least < 0
    shift = _shift(least, largest)
    zeros = next(bits for bits in range(8, -1, -1) if not (whole % (1 << bits)).any())
    dropped = shift + zeros - loader_mixed
    return shift, [_modelled(part.astype(np.int64) << shift, dropped) for part in parts]


def _modelled(shifted_OI: Array, dropped: int) -> Array:
    """Return the shifted weights, clipped and cut by the model."""
    if shifted_OI.min() < 0 < shifted_OI.max():
        return np.asarray((np.clip(shifted_OI, -256, 255) >> (dropped + 1)) << (dropped + 1))
    magnitude_OI = np.clip(np.abs(shifted_OI), 0, 255)
    return np.asarray(np.sign(shifted_OI) * ((magnitude_OI >> dropped) << dropped))


def _shift(least: int, largest: int) -> int:
    """Return the exponent of two by which the loader scales; integers, so without rounding."""
    if largest < 0:
        return _floor_log2(256, -least)
    if least >= 0:
        return _floor_log2(255, largest)
    below = _floor_log2(2 * 128, -least)
    return min(_floor_log2(2 * 127, largest), below) if largest else below


def _floor_log2(numerator: int, denominator: int) -> int:
    """Return ⌊log2(numerator / denominator)⌋ of a ratio of at least 1."""
    return (numerator // denominator).bit_length() - 1


def loader_fault(weight_OI: Array, recurrent_OO: Array | None = None) -> str | None:
    """Return one line where lava-dl's loader would change these weights, or None."""
    rule = "dense weights that lava-dl's loader would change"
    allowed = "allowed at least one weight above 0, or a least weight that is no power of two"
    parts = [weight_OI] if recurrent_OO is None else [weight_OI, recurrent_OO]
    if not any(part.any() for part in parts):
        return f"{rule}: found all zero, allowed at least one other than 0"
    shift, used = loaded_weights(parts)
    if all((part << shift == one).all() for part, one in zip(parts, used, strict=True)):
        return None
    least = min(int(part.min()) for part in parts)
    return f"{rule}: found none above 0 and a least weight of {least}, {allowed}"
