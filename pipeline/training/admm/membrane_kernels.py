"""The membrane step's loop for Numba: a block of neurons through all steps while it is in cache.

Axes: `T` time step, `M` every neuron of every recording. Equations: `membrane`.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.neuron_kernels import compiled

Rows = NDArray[np.float32]
"""Values of every step and neuron, `(T, M)`."""
_BLOCK = 1024
_ZERO, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)


@compiled
def solve_ramp(
    membranes_TM: Rows,
    spikes_TM: Rows,
    asked_TM: Rows,
    drive_TM: Rows,
    change_TM: Rows,
    decay: np.float32,
    threshold: np.float32,
    window: np.float32,
    slack: np.float32,
    hard: bool,
    granted: bool,
    charged: bool,
) -> None:
    """Write ΔI and Δz of every step: the Thomas algorithm over T, one system a neuron.

    `granted` and `charged` are reset terms: of ΨΔz, and of all of Δa.
    """
    steps, neurons = asked_TM.shape
    weight, rise = slack * window * window, _ONE / window
    half, out = _HALF * window, _ONE / slack
    kept = np.zeros((steps + 1, _BLOCK), np.float32)
    before = np.zeros((steps + 1, _BLOCK), np.float32)
    diagonal = np.empty((steps, _BLOCK), np.float32)
    right = np.empty((steps, _BLOCK), np.float32)
    for start in range(0, neurons, _BLOCK):
        count = min(_BLOCK, neurons - start)
        stop = start + count
        for t in range(1, steps):
            d, b = kept[t], before[t]
            z, a = membranes_TM[t - 1, start:stop], spikes_TM[t - 1, start:stop]
            asked = asked_TM[t - 1, start:stop]
            for n in range(count):
                k = decay * z[n] if hard else threshold
                inside = rise if abs(z[n] - threshold) < half else _ZERO
                d[n] = (decay * (_ONE - a[n]) if hard else decay) - (
                    k * inside if granted else _ZERO
                )
                b[n] = k * asked[n] if charged else _ZERO
        for t in range(steps):
            later_d, later_b, now_b = kept[t + 1], before[t + 1], before[t]
            z, asked = membranes_TM[t, start:stop], asked_TM[t, start:stop]
            whole, r = diagonal[t], right[t]
            for n in range(count):
                inside = rise if abs(z[n] - threshold) < half else _ZERO
                r[n] = weight * inside * asked[n] - now_b[n] + later_d[n] * later_b[n]
                whole[n] = _ONE + weight * inside * inside + later_d[n] * later_d[n]
        for t in range(1, steps):
            d, whole, r = kept[t], diagonal[t], right[t]
            whole_before, r_before = diagonal[t - 1], right[t - 1]
            for n in range(count):
                share = d[n] / whole_before[n]
                whole[n] -= share * d[n]
                r[n] += share * r_before[n]
        for t in range(steps - 1, -1, -1):
            change, whole, r = change_TM[t, start:stop], diagonal[t], right[t]
            if t == steps - 1:
                for n in range(count):
                    change[n] = r[n] / whole[n]
            else:
                later_d, later = kept[t + 1], change_TM[t + 1, start:stop]
                for n in range(count):
                    change[n] = (r[n] + later_d[n] * later[n]) / whole[n]
        for t in range(steps):
            change, drive, b = change_TM[t, start:stop], drive_TM[t, start:stop], before[t]
            if t == 0:
                for n in range(count):
                    drive[n] = change[n] * out
            else:
                d, earlier = kept[t], change_TM[t - 1, start:stop]
                for n in range(count):
                    drive[n] = (change[n] - d[n] * earlier[n] + b[n]) * out
