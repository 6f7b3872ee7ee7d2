"""The neuron's equations for Numba: a block of neurons through all steps while it is in the cache.

Axes: `T` time step, `M` every neuron of every recording. Equations: `pipeline.neuron`.

The logistic function is ½ + ½ tanh(x/2) with the rational approximation of tanh of the Eigen
library (13th over 6th degree, |x| up to 7.9): all multiplications and additions, which a compiler
turns into vector instructions. It is within 2e−7 of the exact value. Contraction to fused
multiply-add is allowed, nothing that would lose a NaN.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
"""Values of every step and neuron, `(T, M)`."""
BLOCK = 4096
"""Neurons of a block: ten steps of three arrays are half a megabyte."""

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_END = np.float32(7.90531110763549805)
# Coefficients of the powers of x/2 in the numerator (A) and in the denominator (B).
_A13, _A11 = np.float32(-2.76076847742355e-16), np.float32(2.00018790482477e-13)
_A9, _A7 = np.float32(-8.60467152213735e-11), np.float32(5.12229709037114e-08)
_A5, _A3 = np.float32(1.48572235717979e-05), np.float32(6.37261928875436e-04)
_A1 = np.float32(4.89352455891786e-03)
_B6, _B4 = np.float32(1.19825839466702e-06), np.float32(1.18534705686654e-04)
_B2, _B0 = np.float32(2.26843463243900e-03), np.float32(4.89352518554385e-03)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use; the result is kept on disk where a folder for that is writable."""
    for cache in (True, False):
        try:
            found: Callable[..., Any] = numba.njit(
                function, cache=cache, nogil=True, error_model="numpy", fastmath={"contract"}
            )
            return found
        except RuntimeError:
            if not cache:
                raise
    raise AssertionError


@numba.njit(inline="always")
def _logistic(x: Any) -> Any:
    y = _HALF * x
    if y > _END:
        y = _END
    if y < -_END:
        y = -_END
    z = y * y
    odd = y * ((((((_A13 * z + _A11) * z + _A9) * z + _A7) * z + _A5) * z + _A3) * z + _A1)
    return _HALF + _HALF * odd / (((_B6 * z + _B4) * z + _B2) * z + _B0)


@compiled
def forward(
    drive_TM: Rows,
    membranes_TM: Rows,
    spikes_TM: Rows,
    first: int,
    last: int,
    decay: np.float32,
    threshold: np.float32,
    slope: np.float32,
    hard: bool,
) -> None:
    """Write membranes and spikes of the neurons `first` … `last` − 1."""
    kept = np.empty(BLOCK, np.float32)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        kept[:] = _ZERO
        for t in range(drive_TM.shape[0]):
            drive = drive_TM[t, start : start + count]
            u = membranes_TM[t, start : start + count]
            s = spikes_TM[t, start : start + count]
            if hard:
                for n in range(count):
                    membrane = drive[n] + decay * kept[n]
                    spike = _ONE if membrane > threshold else _ZERO
                    u[n], s[n] = membrane, spike
                    kept[n] = membrane - membrane * spike
            else:
                for n in range(count):
                    membrane = drive[n] + decay * kept[n]
                    spike = _logistic(slope * (membrane - threshold))
                    u[n], s[n] = membrane, spike
                    kept[n] = membrane - membrane * spike


@compiled
def backward(
    grad_TM: Rows,
    membranes_TM: Rows,
    spikes_TM: Rows,
    grad_drive_TM: Rows,
    first: int,
    last: int,
    decay: np.float32,
    threshold: np.float32,
    slope: np.float32,
    hard: bool,
) -> None:
    """Write ∂L/∂I of the neurons `first` … `last` − 1 from ∂L/∂s."""
    later = np.empty(BLOCK, np.float32)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        later[:] = _ZERO
        for t in range(grad_TM.shape[0] - 1, -1, -1):
            grad = grad_TM[t, start : start + count]
            u = membranes_TM[t, start : start + count]
            s = spikes_TM[t, start : start + count]
            out = grad_drive_TM[t, start : start + count]
            for n in range(count):
                smooth = _logistic(slope * (u[n] - threshold)) if hard else s[n]
                kept = decay * later[n]
                rise = slope * smooth * (_ONE - smooth)
                whole = kept * (_ONE - s[n]) + (grad[n] - kept * u[n]) * rise
                out[n] = whole
                later[n] = whole
