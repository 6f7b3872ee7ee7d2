"""Corruptions of recordings: what a sensor loses, adds and gets wrong. One model and one case each.

Axes: E event. Times are µs from the recording's start. A corruption's randomness comes from a seed,
its kind and the recording's name alone, so that a recording is corrupted alike for every network
and whatever lies beside it in a batch, a limit or a fold. One kind at several severities draws the
same numbers: what a small share drops, a larger one drops too.

tonic 1.7 has transforms of similar names. Those that draw do so from NumPy's global state, which
cannot be seeded a recording; and `DropEvent` drops a fixed number of events, `UniformNoise` adds
one between the first and the last event and leaves a recording without events as it is,
`DropEventByTime` and `DropEventByArea` never reach the last places, `TimeJitter` and
`SpatialJitter` cut towards zero where ours round, and `RandomFlipPolarity` flips all events or
none. `RefractoryPeriod` begins a period anew at each event that it loses, and is a loop of Python.
`TimeSkew` means what ours does, and is the one product that a test holds to it.
"""

import hashlib
from typing import Annotated, Literal, assert_never

import numpy as np
from pydantic import Field

from export.errors import HardspikeError
from pipeline.data import saccade
from pipeline.data.event_loss import drop, drop_area, drop_time, refractory
from pipeline.data.event_noise import add_hot_pixels, add_noise
from pipeline.data.event_shifts import flip_polarity, jitter_place, jitter_time, stretch_time
from pipeline.data.events import Events
from pipeline.data.settings import (
    MAX_SENSOR,
    DataSettings,
    SaccadeMnist,
    Source,
    duration_us,
    sensor_of,
)
from pipeline.schema import Model

HIGHEST_HZ = 1000
"""Above any sensor's noise; it bounds the events of one recording in memory."""
_HOUR_US = 3_600_000_000
_US_PER_MS = 1000

Share = Annotated[float, Field(ge=0, le=1)]
Hertz = Annotated[float, Field(ge=0, le=HIGHEST_HZ)]


class Drop(Model):
    """Each event is lost with probability `share`, on its own."""

    kind: Literal["drop"]
    share: Share


class DropTime(Model):
    """`lost_ms` of the window in a row are lost, at a place of the recording's own."""

    kind: Literal["drop_time"]
    lost_ms: Annotated[float, Field(ge=0, le=_HOUR_US / _US_PER_MS)]


class DropArea(Model):
    """A square of `side_pixels`² pixels is lost, at a place of the recording's own."""

    kind: Literal["drop_area"]
    side_pixels: Annotated[int, Field(ge=0, le=MAX_SENSOR)]


class Noise(Model):
    """Background events at `hz_per_pixel` a second from every pixel and of each polarity.

    So a pixel adds twice as many a second; the 0.1 Hz of `saccade-mnist` count both polarities.
    """

    kind: Literal["noise"]
    hz_per_pixel: Hertz


class HotPixels(Model):
    """Each pixel is hot with probability `share_of_pixels`, and then fires at `hz` a second.

    Every recording is one of another sensor. Both polarities count in `hz` and are as likely.
    """

    kind: Literal["hot_pixels"]
    share_of_pixels: Share
    hz: Hertz


class TimeJitter(Model):
    """Each event's time is off by a normal error of `sd_us`."""

    kind: Literal["time_jitter"]
    sd_us: Annotated[float, Field(ge=0, le=_HOUR_US)]


class SpatialJitter(Model):
    """Each event's place is off by normal errors of `sd_pixels` along x and along y."""

    kind: Literal["spatial_jitter"]
    sd_pixels: Annotated[float, Field(ge=0, le=MAX_SENSOR)]


class PolarityFlip(Model):
    """Each event's polarity is the wrong one with probability `share`."""

    kind: Literal["polarity_flip"]
    share: Share


class TimeStretch(Model):
    """Every time is multiplied by `factor`; above 1, the end of the scene leaves the window."""

    kind: Literal["time_stretch"]
    factor: Annotated[float, Field(ge=0.1, le=10)]


class Refractory(Model):
    """A pixel's events nearer than `period_us` to its last one kept are lost."""

    kind: Literal["refractory"]
    period_us: Annotated[int, Field(ge=0, le=_HOUR_US)]


class ContrastThreshold(Model):
    """Every pixel's contrast threshold is `shift_ln` higher, in natural logarithms of intensity.

    Only `saccade-mnist` can be recorded anew; its thresholds are 0.33 ± 0.03 and 0.21 or more.
    """

    kind: Literal["contrast_threshold"]
    shift_ln: Annotated[float, Field(ge=-0.15, le=1)]


Corruption = (
    Drop
    | Noise
    | DropTime
    | DropArea
    | HotPixels
    | TimeJitter
    | SpatialJitter
    | PolarityFlip
    | TimeStretch
    | Refractory
    | ContrastThreshold
)


def label(corruption: Corruption) -> str:
    """Return the kind and its severity in words, as tables show them."""
    return f"{corruption.kind.replace('_', ' ')} {severity(corruption)}"


def severity(corruption: Corruption) -> str:
    """Return the severity with its unit, as tables show it."""
    match corruption:
        case Drop() | PolarityFlip():
            return f"{100 * corruption.share:g}%"
        case Noise():
            return f"{corruption.hz_per_pixel:g} Hz"
        case DropTime():
            return f"{corruption.lost_ms:g} ms"
        case DropArea():
            return f"{corruption.side_pixels} px"
        case HotPixels():
            return f"{100 * corruption.share_of_pixels:g}% at {corruption.hz:g} Hz"
        case TimeJitter():
            return f"{corruption.sd_us:g} µs"
        case SpatialJitter():
            return f"{corruption.sd_pixels:g} px"
        case TimeStretch():
            return f"×{corruption.factor:g}"
        case Refractory():
            return f"{corruption.period_us} µs"
        case ContrastThreshold():
            return f"{corruption.shift_ln:+g} ln"
        case _:
            assert_never(corruption)


def refusal(corruption: Corruption, source: Source) -> str | None:
    """Return one line where recordings of `source` cannot have the corruption, else None."""
    if isinstance(corruption, ContrastThreshold) and not isinstance(source, SaccadeMnist):
        return (
            f"contrast_threshold: found source {source.kind}, whose recordings are made; allowed "
            "is saccade-mnist, which is simulated anew with the other threshold"
        )
    return None


def corrupted(
    recording: Events, corruption: Corruption, data: DataSettings, seed: int, name: str
) -> Events:
    """Return a corrupted copy of the recording `name`, in the order of its times.

    `data` gives the sensor in pixels and the window in µs. The copy may hold no events.

    Raises:
        HardspikeError: recordings of this source cannot have the corruption.
    """
    generator = _generator(seed, corruption.kind, name)
    sensor, window_us = sensor_of(data.source), duration_us(data)
    match corruption:
        case Drop():
            return drop(recording, corruption.share, generator)
        case DropTime():
            lost_us = round(corruption.lost_ms * _US_PER_MS)
            return drop_time(recording, lost_us, window_us, generator)
        case DropArea():
            return drop_area(recording, corruption.side_pixels, sensor, generator)
        case Noise():
            return add_noise(recording, corruption.hz_per_pixel, sensor, window_us, generator)
        case HotPixels():
            share, hz = corruption.share_of_pixels, corruption.hz
            return add_hot_pixels(recording, share, hz, sensor, window_us, generator)
        case TimeJitter():
            return jitter_time(recording, corruption.sd_us, generator)
        case SpatialJitter():
            return jitter_place(recording, corruption.sd_pixels, sensor, generator)
        case PolarityFlip():
            return flip_polarity(recording, corruption.share, generator)
        case TimeStretch():
            return stretch_time(recording, corruption.factor)
        case Refractory():
            return refractory(recording, corruption.period_us)
        case ContrastThreshold():
            return recorded_anew([name], corruption, data.source)[0]
        case _:
            assert_never(corruption)


def recorded_anew(names: list[str], corruption: ContrastThreshold, source: Source) -> list[Events]:
    """Return recordings of `saccade-mnist`, by name, as a sensor of other thresholds has them.

    Path of the image, spread of the thresholds and noise are those of the recording itself.

    Raises:
        HardspikeError: another source.
    """
    if not isinstance(source, SaccadeMnist):
        raise HardspikeError(refusal(corruption, source) or "")
    digits = [saccade.digit_of(name) for name in names]
    codes = saccade.simulate(digits, source.seed, corruption.shift_ln)
    return [saccade.unpack(codes_E) for codes_E in codes]


def _generator(seed: int, kind: str, name: str) -> np.random.Generator:
    identity = hashlib.sha256(f"{kind}\n{name}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(identity)])
