"""What a sensor gets wrong about an event: its time, its place, its polarity.

Axes: E event. Times are µs from the recording's start, places pixels.
"""

import numpy as np
import numpy.typing as npt

from pipeline.data.event_loss import kept
from pipeline.data.events import Events


def jitter_time(recording: Events, sd_us: float, generator: np.random.Generator) -> Events:
    """Move each event by a normal time of `sd_us`, to the nearest µs.

    What falls before time zero is lost, as after the window it is to the binning.
    """
    shift_E = np.rint(sd_us * generator.standard_normal(len(recording))).astype(np.int64)
    return _in_order(recording, recording.time_E + shift_E)


def _in_order(recording: Events, time_E: npt.NDArray[np.int64]) -> Events:
    order_E = np.argsort(time_E, kind="stable")
    order_E = order_E[int(np.searchsorted(time_E[order_E], 0)) :]
    moved = Events(recording.x_E, recording.y_E, recording.on_E, time_E)
    return kept(moved, order_E)


def jitter_place(
    recording: Events, sd_pixels: float, sensor: tuple[int, int], generator: np.random.Generator
) -> Events:
    """Move each event by normal distances of `sd_pixels` along x and y, to the nearest pixel.

    What falls off the sensor of (width, height) pixels is lost.
    """
    shift_2E = np.rint(sd_pixels * generator.standard_normal((2, len(recording))))
    x_E, y_E = recording.x_E + shift_2E[0], recording.y_E + shift_2E[1]
    inside_E = (x_E >= 0) & (x_E < sensor[0]) & (y_E >= 0) & (y_E < sensor[1])
    # Those outside have no place in 16 bits; they are about to go.
    x_E, y_E = np.where(inside_E, x_E, 0), np.where(inside_E, y_E, 0)
    moved = Events(x_E.astype(np.uint16), y_E.astype(np.uint16), recording.on_E, recording.time_E)
    return kept(moved, inside_E)


def flip_polarity(recording: Events, share: float, generator: np.random.Generator) -> Events:
    """Turn each event's polarity round with probability `share`."""
    flipped_E = generator.random(len(recording)) < share
    return Events(recording.x_E, recording.y_E, recording.on_E ^ flipped_E, recording.time_E)


def stretch_time(recording: Events, factor: float) -> Events:
    """Multiply every time by `factor`, down to whole µs: above 1 the scene moves slower."""
    time_E = (recording.time_E * factor).astype(np.int64)
    return Events(recording.x_E, recording.y_E, recording.on_E, time_E)
