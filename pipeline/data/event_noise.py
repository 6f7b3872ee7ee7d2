"""What a sensor adds: background noise, and pixels that fire on their own.

Axes: E event, P pixel (row by row). Times are µs from the recording's start.
"""

import numpy as np

from pipeline.data.events import I64, Events

POLARITIES = 2


def added(recording: Events, x_E: I64, y_E: I64, on_E: I64, time_E: I64) -> Events:
    """Return the recording with these events among its own, in the order of time."""
    times_E = np.concatenate([recording.time_E, time_E])
    order_E = np.argsort(times_E, kind="stable")
    return Events(
        np.concatenate([recording.x_E, x_E.astype(np.uint16)])[order_E],
        np.concatenate([recording.y_E, y_E.astype(np.uint16)])[order_E],
        np.concatenate([recording.on_E, on_E.astype(np.bool_)])[order_E],
        times_E[order_E],
    )


def add_noise(
    recording: Events,
    hz_per_pixel: float,
    sensor: tuple[int, int],
    window_us: int,
    generator: np.random.Generator,
) -> Events:
    """Add Poisson noise to a window [0, `window_us`) of a sensor of (width, height) pixels.

    The sum of independent Poisson processes, one a pixel and polarity, is one of
    λ = hz · 2 · width · height · window events, each even over pixels, polarities and time.
    Every event of the recording stays, those after the window too.
    """
    width, height = sensor
    mean = hz_per_pixel * POLARITIES * width * height * window_us * 1e-6
    count = generator.poisson(mean)
    time_E = generator.integers(window_us, size=count)
    x_E = generator.integers(width, size=count, dtype=np.uint16)
    y_E = generator.integers(height, size=count, dtype=np.uint16)
    on_E = generator.integers(POLARITIES, size=count)
    return added(recording, x_E.astype(np.int64), y_E.astype(np.int64), on_E, time_E)


def add_hot_pixels(
    recording: Events,
    share: float,
    hz: float,
    sensor: tuple[int, int],
    window_us: int,
    generator: np.random.Generator,
) -> Events:
    """Make each pixel hot with probability `share`: it adds Poisson events at `hz` a second.

    Its events have either polarity alike and lie in the window [0, `window_us`). What is hot at a
    small share is hot at a larger one.
    """
    width, height = sensor
    hot_P = np.flatnonzero(generator.random(width * height) < share)
    pixel_E = np.repeat(hot_P, generator.poisson(hz * window_us * 1e-6, size=len(hot_P)))
    time_E = generator.integers(window_us, size=len(pixel_E))
    on_E = generator.integers(POLARITIES, size=len(pixel_E))
    y_E, x_E = np.divmod(pixel_E, width)
    return added(recording, x_E, y_E, on_E, time_E)
