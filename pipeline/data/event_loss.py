"""What a sensor loses: events, a stretch of time, a patch of pixels, all that follows too soon.

Axes: E event. Times are µs from the recording's start, sides and places pixels.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data.events import Bools, Events


def kept(recording: Events, kept_E: Bools | npt.NDArray[Any]) -> Events:
    """Return the events of a mask or of increasing positions, in their order."""
    return Events(
        recording.x_E[kept_E],
        recording.y_E[kept_E],
        recording.on_E[kept_E],
        recording.time_E[kept_E],
    )


def drop(recording: Events, share: float, generator: np.random.Generator) -> Events:
    """Keep each event with probability 1 − `share`; 0 keeps all, 1 none."""
    return kept(recording, generator.random(len(recording)) >= share)


def drop_time(
    recording: Events, lost_us: int, window_us: int, generator: np.random.Generator
) -> Events:
    """Lose `lost_us` in a row, at a place even over the window [0, `window_us`).

    The lost interval lies in the window whole; a longer one is all of the window. Events after the
    window stay. What a short interval loses, a longer one of the same numbers loses too.
    """
    start, end = _placed(lost_us, window_us, generator.random())
    return kept(recording, (recording.time_E < start) | (recording.time_E >= end))


def drop_area(
    recording: Events, side: int, sensor: tuple[int, int], generator: np.random.Generator
) -> Events:
    """Lose a square of `side`² pixels, at a place even over a sensor of (width, height) pixels.

    The square lies on the sensor whole; a side longer than the sensor's is the sensor's. What a
    small square loses, a larger one of the same numbers loses too.
    """
    left, right = _placed(side, sensor[0], generator.random())
    top, bottom = _placed(side, sensor[1], generator.random())
    x_E, y_E = recording.x_E, recording.y_E
    return kept(recording, (x_E < left) | (x_E >= right) | (y_E < top) | (y_E >= bottom))


def _placed(length: int, whole: int, place: float) -> tuple[int, int]:
    """Return begin and end of `length` within `whole`, each of its places as likely.

    begin = ⌊place · (whole − length + 1)⌋ never grows with the length, and begin + length never
    shrinks: an interval lies within every longer one of the same place.
    """
    length = min(length, whole)
    begin = int(place * (whole - length + 1))
    return begin, begin + length


def refractory(recording: Events, period_us: int) -> Events:
    """Lose each pixel's events that follow its last one kept by less than `period_us`.

    Both polarities share the period. An event that is lost starts no period of its own.
    """
    if period_us == 0 or len(recording) == 0:
        return recording
    pixel_E = recording.y_E.astype(np.int64) << 16 | recording.x_E
    order_E = np.argsort(pixel_E, kind="stable")
    place_E = np.unique(pixel_E[order_E], return_inverse=True)[1]
    # One number for pixel and time, with more than a period between the pixels: the first event
    # at or after the period's end is the pixel's next, or the first of the pixel after it.
    span = int(recording.time_E[-1]) + period_us + 1
    key_E = place_E * span + recording.time_E[order_E]
    following = np.searchsorted(key_E, key_E + period_us).tolist()
    chain, at = [], 0
    while at < len(following):
        chain.append(at)
        at = following[at]
    return kept(recording, np.sort(order_E[chain]))
