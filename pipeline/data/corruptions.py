"""Corruptions of recordings: what a sensor loses and adds. One model and one function each.

Axes: E event. Times are µs from the recording's start. A corruption's randomness comes from a seed,
its kind and the recording's name alone, so that a recording is corrupted alike for every network
and whatever lies beside it in a batch, a limit or a fold. One kind at several severities draws the
same numbers: what a small share drops, a larger one drops too.

tonic 1.7 has transforms of similar names that fit neither: `DropEvent` drops a fixed number of
events, `UniformNoise` adds one between the first and the last event and leaves a recording without
events as it is; both draw from NumPy's global state, which cannot be seeded a recording.
"""

import hashlib
from typing import Annotated, Literal, assert_never

import numpy as np
from pydantic import Field

from pipeline.data.events import Events
from pipeline.data.settings import DataSettings, duration_us, sensor_of
from pipeline.schema import Model

POLARITIES = 2
HIGHEST_HZ = 1000
"""Above any sensor's noise; it bounds the events of one recording in memory."""


class Drop(Model):
    """Each event is lost with probability `share`, on its own."""

    kind: Literal["drop"]
    share: Annotated[float, Field(ge=0, le=1)]


class Noise(Model):
    """Background events at `hz_per_pixel` a second from every pixel and of each polarity.

    So a pixel adds twice as many a second; the 0.1 Hz of `saccade-mnist` count both polarities.
    """

    kind: Literal["noise"]
    hz_per_pixel: Annotated[float, Field(ge=0, le=HIGHEST_HZ)]


Corruption = Drop | Noise


def label(corruption: Corruption) -> str:
    """Return the kind and its severity in words, as tables show them."""
    match corruption:
        case Drop():
            return f"drop {100 * corruption.share:g}%"
        case Noise():
            return f"noise {corruption.hz_per_pixel:g} Hz"
        case _:
            assert_never(corruption)


def corrupted(
    recording: Events, corruption: Corruption, data: DataSettings, seed: int, name: str
) -> Events:
    """Return a corrupted copy of the recording `name`, in the order of its times.

    `data` gives the sensor in pixels and the window in µs. The copy may hold no events.
    """
    generator = _generator(seed, corruption.kind, name)
    match corruption:
        case Drop():
            return drop(recording, corruption.share, generator)
        case Noise():
            rate, sensor = corruption.hz_per_pixel, sensor_of(data.source)
            return add_noise(recording, rate, sensor, duration_us(data), generator)
        case _:
            assert_never(corruption)


def _generator(seed: int, kind: str, name: str) -> np.random.Generator:
    identity = hashlib.sha256(f"{kind}\n{name}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(identity)])


def drop(recording: Events, share: float, generator: np.random.Generator) -> Events:
    """Keep each event with probability 1 − `share`; 0 keeps all, 1 none."""
    kept_E = generator.random(len(recording)) >= share
    return Events(
        recording.x_E[kept_E],
        recording.y_E[kept_E],
        recording.on_E[kept_E],
        recording.time_E[kept_E],
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
    time_E = np.concatenate([recording.time_E, generator.integers(window_us, size=count)])
    x_E = generator.integers(width, size=count, dtype=np.uint16)
    y_E = generator.integers(height, size=count, dtype=np.uint16)
    on_E = generator.integers(POLARITIES, size=count).astype(np.bool_)
    order_E = np.argsort(time_E, kind="stable")
    return Events(
        np.concatenate([recording.x_E, x_E])[order_E],
        np.concatenate([recording.y_E, y_E])[order_E],
        np.concatenate([recording.on_E, on_E])[order_E],
        time_E[order_E],
    )
