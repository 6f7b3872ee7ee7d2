"""What both sides are run on: test recordings of a run or config, or seeded random spikes.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from pipeline.config_file import parse_model, read_tree
from pipeline.data.events import bin_events
from pipeline.data.settings import DataSettings, NoRecordings
from pipeline.data.sources import listing
from pipeline.data.splits import limited
from pipeline.diff.foreign import Words, words_of_recordings
from pipeline.diff.subject import Subject
from pipeline.imported.reading import recordings_options
from pipeline.progress import Reporter
from pipeline.schema import Model
from pipeline.stages import load_run

DENSITY = 0.2
"""Share of active inputs, where neither recordings nor a rate are given."""


@dataclass(frozen=True, eq=False)
class Recordings:
    """Spikes with what they are; `labels_B` is None where nobody knows the classes."""

    spikes_BTCHW: NDArray[np.uint8]
    labels_B: NDArray[np.int64] | None
    names: tuple[str, ...]
    what: str

    def __len__(self) -> int:
        return len(self.spikes_BTCHW)


def load_recordings(
    a: Subject,
    b: Subject,
    data: Path | None,
    rate: str | None,
    samples: int,
    seed: int,
    reporter: Reporter,
) -> Recordings:
    """Return up to `samples` recordings that both networks take.

    They are `data`'s where that is given, random at `rate` where that is, else those of A's run,
    of B's run, else random.

    Raises:
        HardspikeError: a fault in an argument, the networks take other inputs, or the recordings
            are missing or do not fit them.
    """
    if samples < 1 or seed < 0:
        raise HardspikeError(
            f"--samples and --seed: found {samples} and {seed}, allowed 1 and 0 or more"
        )
    if data is not None and rate is not None:
        raise HardspikeError("--data and --random: found both, allowed one of them")
    check_inputs(a, b)
    source = data if data is not None or rate is not None else _run_with_recordings(a, b)
    if source is None:
        return _random(a, b, rate, samples, seed)
    found = _of_settings(_settings(source), source, samples, seed, reporter)
    _check_fit(found, a)
    _check_fit(found, b)
    return found


def _run_with_recordings(a: Subject, b: Subject) -> Path | None:
    """Return A's run, else B's; one of a network that was imported without recordings is none."""
    for run in (a.run, b.run):
        if run is not None and not isinstance(load_run(run).data.source, NoRecordings):
            return run
    return None


def words_of_data(data: Path | None) -> Words:
    """Return what the recordings of `--data` say of files that leave it open.

    Raises:
        HardspikeError: it is neither an experiment file nor a run folder.
    """
    if data is None:
        return {}
    return words_of_recordings(recordings_options(_settings(data)), str(data))


def check_seconds(said: Mapping[str, Any], rate: str | None) -> None:
    """Refuse a length of a step that nothing needs.

    Raises:
        HardspikeError: it is said, and no rate in Hz.
    """
    if "seconds" in said and (rate is None or not _in_hertz(rate)):
        raise HardspikeError("--seconds: found one without effect: allowed with --random in Hz")


def check_inputs(a: Subject, b: Subject) -> None:
    """Refuse networks that take other recordings.

    Raises:
        HardspikeError: sizes of the input or numbers of steps differ.
    """
    for name in ("input_shape", "steps"):
        values = getattr(a.network, name), getattr(b.network, name)
        if values[0] != values[1]:
            raise HardspikeError(
                f"{name}: found {values[0]} in {a.given} and {values[1]} in {b.given}, allowed "
                "the same in both: they take other recordings"
            )


class _Experiment(Model):
    """What is read of an experiment file: `hardspike import` takes those without training too."""

    data: DataSettings


def _settings(source: Path) -> DataSettings:
    if not source.exists():
        raise HardspikeError(f"{source}: not found; allowed is an experiment file or a run folder")
    if source.is_dir():
        return load_run(source).data
    own = {key: value for key, value in read_tree(source).items() if key == "data"}
    return parse_model(_Experiment, own, str(source)).data


def _of_settings(
    data: DataSettings, source: Path, samples: int, seed: int, reporter: Reporter
) -> Recordings:
    found = listing(data.source, "test", data.limit_test)
    chosen = found.take(limited(found.labels_B, samples, seed))
    with reporter.bar("data", "recordings") as progress:
        events = chosen.read(range(len(chosen)), progress)
    spikes = bin_events(events, data)
    what = f"{len(chosen)} test recordings of {source}"
    return Recordings(spikes, chosen.labels_B, chosen.names, what)


def _check_fit(found: Recordings, subject: Subject) -> None:
    network = subject.network
    wanted, largest = (network.steps, *network.input_shape), int(found.spikes_BTCHW.max())
    if found.spikes_BTCHW.shape[1:] != wanted:
        raise HardspikeError(
            f"--data: {found.what} are of (T, C, H, W) {found.spikes_BTCHW.shape[1:]}, "
            f"allowed {wanted}, which {subject.given} takes"
        )
    if largest > network.input_max:
        raise HardspikeError(
            f"--data: {found.what} hold values up to {largest}, allowed up to "
            f"{network.input_max}, which {subject.given} takes"
        )


def _random(a: Subject, b: Subject, rate: str | None, samples: int, seed: int) -> Recordings:
    """Draw active inputs at the rate, each from 1 to the largest value that both take.

    Raises:
        HardspikeError: the rate is none, or in Hz for steps of two lengths.
    """
    one, other = a.network, b.network
    if rate is not None and _in_hertz(rate) and not math.isclose(one.dt, other.dt, rel_tol=1e-6):
        raise HardspikeError(
            f"--random {rate}: a step lasts {one.dt:g} s in {a.given} and {other.dt:g} s in "
            f"{b.given}; allowed is a share of active inputs, or --seconds where a file of another "
            "toolkit leaves it open"
        )
    density = DENSITY if rate is None else density_of(rate, one.dt)
    generator = np.random.default_rng(seed)
    shape = (samples, one.steps, *one.input_shape)
    active = generator.random(shape) < density
    largest = min(one.input_max, other.input_max)
    spikes = (active * generator.integers(1, largest + 1, shape)).astype(np.uint8)
    what = f"{samples} recordings of random spikes, density {density:g} a step, seed {seed}"
    return Recordings(spikes, None, tuple(f"random {at}" for at in range(samples)), what)


def density_of(rate: str, dt: float) -> float:
    """Return the share of active inputs a step that `rate` names: `0.1`, or `50Hz` for 50·dt.

    Raises:
        HardspikeError: it is neither a share nor a rate, or above one spike a step.
    """
    text, hertz = rate.strip(), _in_hertz(rate)
    try:
        density = float(text[:-2]) * dt if hertz else float(text)
    except ValueError:
        density = math.nan
    if not 0 <= density <= 1:
        raise HardspikeError(
            f"--random: found {rate!r}, allowed a share of active inputs from 0 to 1, as in 0.1, "
            f"or a rate up to one spike a step ({1 / dt:g} Hz), as in {0.1 / dt:.3g}Hz"
        )
    return density


def _in_hertz(rate: str) -> bool:
    return rate.strip().lower().endswith("hz")
