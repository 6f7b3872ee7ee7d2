"""The simulated event pixel, in integers, so that every machine computes the same events.

    I(x, y, t)   the image, moved along the saccades, bilinear between its pixels
    L = ln(c0 + (1 − c0)·I)
    an event each time L has moved by the pixel's threshold θ from the level of its last event

The saccades go round: before time zero a pixel has seen the last leg of a round before, from a
remembered level that is off by up to ±θ. A pixel without that past answers its first leg with a
few more events than the others, and one that starts without a residual answers the return to the
start with a burst that real recordings lack.

A digit is bright on black, and N-MNIST's polarity is the other way round for it (the recordings
were made so that ON falls on the trailing edge): ON where L falls, OFF where it rises.

Axes: B recording, H row, W column, E event, P padded image axis, K crossing.
Units: time µs; position 1/256 pixel; log intensity 2⁻¹³.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

SIDE = 34
IMAGE_SIDE = 28
LEG_US = 105_000
EASE_US = (10_000, 80_000)
STEP_US = 2_500
# N-MNIST's nominal path starts at (−1, 0) and turns at (3.5, 7). Start, turn and threshold are
# fitted to 500 real N-MNIST recordings of the same digits: their events a leg and a pixel.
START_XY = (-0.5, 0.75)
CORNERS_XY = ((0.0, 0.0), (3.0, 6.5), (7.0, 0.0), (0.0, 0.0))
ROUND_US = LEG_US * (len(CORNERS_XY) - 1)
DARK = 0.2
THRESHOLD = 0.33
THRESHOLD_SD = 0.03
# A pixel more than four deviations off would be a broken one.
THRESHOLD_RANGE = (0.21, 0.45)

_UNIT = 256
_MARGIN = 9
_LEVEL_SHIFT = 12
_LEVELS = (255 * _UNIT * _UNIT >> _LEVEL_SHIFT) + 1
# 13 bits, so that the widest range of levels, a residual included, fits 16 bits.
_LOG_UNIT = 1 << 13


@dataclass(frozen=True)
class Crossings:
    """Events of many recordings, in no order: recording, row·34 + column, time, polarity."""

    recording_E: I64
    pixel_E: I64
    time_E: I64
    on_E: I64


def log_table() -> I16:
    """Return round(2¹³ · ln(c0 + (1 − c0)·k/4080)) for k from 0 to 4080."""
    intensity = np.arange(_LEVELS) / (_LEVELS - 1)
    return np.round(np.log(DARK + (1 - DARK) * intensity) * _LOG_UNIT).astype(np.int16)


def threshold_units(normals: npt.NDArray[np.float64], shift_ln: float = 0.0) -> I16:
    """Return thresholds θ = 0.33 + 0.03·n + shift in units of log intensity, from normals.

    The range holds before the shift. From −0.15 to 1 it keeps thresholds positive and levels in
    16 bits.
    """
    thresholds = np.clip(THRESHOLD + THRESHOLD_SD * normals, *THRESHOLD_RANGE)
    return np.round((thresholds + shift_ln) * _LOG_UNIT).astype(np.int16)


def position(time_us: int) -> tuple[int, int]:
    """Return the image's corner (x, y) at a time, in 1/256 pixel.

    Each leg of 105 ms goes from one corner to the next between 10 and 80 ms along smoothstep
    s²(3 − 2s), and rests before and after.
    """
    leg, since = divmod(time_us % ROUND_US, LEG_US)
    begin, end = EASE_US
    s = min(max((since - begin) / (end - begin), 0.0), 1.0)
    eased = s * s * (3 - 2 * s)
    x, y = (
        round((start + a + (b - a) * eased) * _UNIT)
        for start, a, b in zip(START_XY, CORNERS_XY[leg], CORNERS_XY[leg + 1], strict=True)
    )
    return x, y


def simulate(images_BHW: U8, thresholds_BHW: I16, residuals_BHW: I16) -> Crossings:
    """Return the events of the three saccades.

    `images_BHW` is 28×28; the others are 34×34, in units of log intensity. A residual is the
    level that a pixel remembers a leg before time zero less the level that it sees then.
    """
    padded_BPP = _pad(images_BHW)
    table = log_table()
    level_BHW = _log_intensity(padded_BPP, position(-LEG_US), table)
    reference_BHW = level_BHW + residuals_BHW
    found: list[Crossings] = []
    for before, now in itertools.pairwise(range(-LEG_US, ROUND_US + STEP_US, STEP_US)):
        if position(before) == position(now):
            continue
        previous_BHW, level_BHW = level_BHW, _log_intensity(padded_BPP, position(now), table)
        events = cross(level_BHW, previous_BHW, reference_BHW, thresholds_BHW, start_us=before)
        if before >= 0:
            found.append(events)
    return Crossings(
        np.concatenate([part.recording_E for part in found]),
        np.concatenate([part.pixel_E for part in found]),
        np.concatenate([part.time_E for part in found]),
        np.concatenate([part.on_E for part in found]),
    )


def cross(
    level_BHW: I16, previous_BHW: I16, reference_BHW: I16, thresholds_BHW: I16, *, start_us: int
) -> Crossings:
    """Return one step's events and move `reference_BHW`, in place, to the last level crossed.

    With d = level − reference, a pixel emits ⌊|d|/θ⌋ events. Event k (from 1) happens where the
    straight line from the previous level to this one meets reference ± kθ.
    """
    change_BHW = level_BHW - reference_BHW
    hits = np.flatnonzero(np.abs(change_BHW) >= thresholds_BHW)
    change = change_BHW.reshape(-1)[hits].astype(np.int64)
    threshold = thresholds_BHW.reshape(-1)[hits].astype(np.int64)
    count = np.abs(change) // threshold
    sign = np.sign(change)

    k = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    reference = reference_BHW.reshape(-1)[hits].astype(np.int64)
    previous = previous_BHW.reshape(-1)[hits].astype(np.int64)
    slope = level_BHW.reshape(-1)[hits].astype(np.int64) - previous
    height = np.repeat(reference - previous, count) + k * np.repeat(sign * threshold, count)
    time_E = start_us + height * STEP_US // np.repeat(slope, count)

    reference_BHW.reshape(-1)[hits] += (sign * threshold * count).astype(np.int16)
    recording, pixel = np.divmod(np.repeat(hits, count), level_BHW[0].size)
    return Crossings(recording, pixel, time_E, np.repeat(sign < 0, count).astype(np.int64))


def _pad(images_BHW: U8) -> I32:
    side = SIDE + 2 * _MARGIN
    padded_BPP = np.zeros((len(images_BHW), side, side), np.int32)
    inner = slice(_MARGIN, _MARGIN + IMAGE_SIDE)
    padded_BPP[:, inner, inner] = images_BHW
    return padded_BPP


def _log_intensity(padded_BPP: I32, at_xy: tuple[int, int], table: I16) -> I16:
    """Return L with the image's corner at `at_xy`: bilinear weights, then the table."""
    (column, right), (row, down) = (divmod(value, _UNIT) for value in at_xy)
    top, left = _MARGIN - row, _MARGIN - column
    rows_BHP = padded_BPP[:, top : top + SIDE] * np.int32(_UNIT - down)
    if down:
        rows_BHP += padded_BPP[:, top - 1 : top - 1 + SIDE] * np.int32(down)
    mixed_BHW = rows_BHP[:, :, left : left + SIDE] * np.int32(_UNIT - right)
    if right:
        mixed_BHW += rows_BHP[:, :, left - 1 : left - 1 + SIDE] * np.int32(right)
    level_BHW: I16 = table[mixed_BHW >> _LEVEL_SHIFT]
    return level_BHW
