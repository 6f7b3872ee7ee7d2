"""What a data set holds: figures, and a contact sheet to look at.

Axes: B recording, T time step, C polarity (0 OFF, 1 ON), H row, W column.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from export.files import replacing
from pipeline.data.events import Dataset, Recordings, bin_events
from pipeline.data.settings import DataSettings, duration_us, step_ms

# ON warm, OFF cold: a pair that colour-blind readers tell apart too.
_ON_RGB = np.array([0.90, 0.38, 0.00])
_OFF_RGB = np.array([0.13, 0.40, 0.67])
_BINNING_BLOCK = 200
_STRIP_STEPS = 10
_DPI = 120
_CELL_INCHES = 0.62
Image = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Description:
    """Figures of one split. Times are in ms; `density` is the share of non-zero spikes."""

    recordings: int
    per_class: dict[str, int]
    events_mean: float
    events_sd: float
    events_min: int
    events_max: int
    on_fraction: float
    duration_mean_ms: float
    duration_max_ms: float
    window_ms: float
    step_ms: float
    in_window: float
    density: float
    rate_per_step: tuple[float, ...]


def describe(recordings: Recordings, settings: DataSettings) -> Description:
    """Count a split. `in_window` is the share of events that the binning keeps; `rate_per_step`
    the share of non-zero spikes in each time step.
    """
    counts_B = np.diff(recordings.offsets)
    last_B = recordings.time_E[recordings.offsets[1:] - 1] / 1000
    labels = np.bincount(recordings.labels_B, minlength=len(recordings.classes))
    rates_T = _rates(recordings, settings)
    return Description(
        recordings=len(recordings),
        per_class=dict(zip(recordings.classes, labels.tolist(), strict=True)),
        events_mean=float(counts_B.mean()),
        events_sd=float(counts_B.std()),
        events_min=int(counts_B.min()),
        events_max=int(counts_B.max()),
        on_fraction=float(recordings.on_E.mean()),
        duration_mean_ms=float(last_B.mean()),
        duration_max_ms=float(last_B.max()),
        window_ms=duration_us(settings) / 1000,
        step_ms=step_ms(settings),
        in_window=float((recordings.time_E < duration_us(settings)).mean()),
        density=float(rates_T.mean()),
        rate_per_step=tuple(rates_T.tolist()),
    )


def _rates(recordings: Recordings, settings: DataSettings) -> npt.NDArray[np.float64]:
    """Return the share of non-zero spikes in each step, binning a block at a time."""
    total_T = np.zeros(settings.binning.steps)
    for start in range(0, len(recordings), _BINNING_BLOCK):
        block = [recordings[i] for i in range(len(recordings))[start : start + _BINNING_BLOCK]]
        spikes_BTCHW = bin_events(block, settings)
        total_T += (spikes_BTCHW != 0).mean(axis=(2, 3, 4)).sum(axis=0)
    return total_T / len(recordings)


def contact_sheet(dataset: Dataset, path: Path, *, columns: int = 6) -> None:
    """Draw the first `columns` recordings of each class, and one of each class over time, as PNG.

    A picture on the left is one recording summed over time; the strip on the right is the
    class's first recording, its steps joined to at most ten. ON is orange, OFF blue. The same
    data gives the same bytes on the same matplotlib.

    Raises:
        HardspikeError: the file cannot be written.
    """
    shown = [c for c in range(len(dataset.classes)) if np.any(dataset.labels_B == c)]
    steps = dataset.spikes_BTCHW.shape[1]
    strip = min(_STRIP_STEPS, steps)
    figure, grid = _sheet([dataset.classes[c] for c in shown], columns, strip)
    for row, label in enumerate(shown):
        members = np.flatnonzero(dataset.labels_B == label)[:columns]
        pictures: list[Image | None] = [_picture(dataset.spikes_BTCHW[i]) for i in members]
        pictures += [None] * (columns - len(members) + 1)
        pictures += _strip(dataset.spikes_BTCHW[members[0]], strip)
        axes = [figure.add_subplot(grid[row, column]) for column in range(len(pictures))]
        for axis, picture in zip(axes, pictures, strict=True):
            _show(axis, picture)
        _label(axes[0], dataset.classes[label])
        if row == 0:
            _head(axes[0], "all steps together; ON orange, OFF blue")
            _head(axes[columns + 1], f"each class's first, over its {steps} steps")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _sheet(names: list[str], columns: int, strip: int) -> tuple[Figure, GridSpec]:
    """Return an empty figure and its grid: a row a class, a narrow gap before the strip."""
    left = 0.3 + 0.07 * max(map(len, names))
    width = left + _CELL_INCHES * (columns + strip + 0.35) + 0.1
    height = _CELL_INCHES * len(names) + 0.4
    figure = Figure(figsize=(width, height), dpi=_DPI)
    grid = figure.add_gridspec(
        len(names),
        columns + 1 + strip,
        width_ratios=[1.0] * columns + [0.35] + [1.0] * strip,
        wspace=0.06,
        hspace=0.06,
        left=left / width,
        right=1 - 0.1 / width,
        top=1 - 0.3 / height,
        bottom=0.1 / height,
    )
    return figure, grid


def _show(axis: Axes, picture: Image | None) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_linewidth(0.4)
        spine.set_color("0.75")
    if picture is None:
        axis.set_axis_off()
    else:
        axis.imshow(picture, interpolation="nearest", aspect="equal")


def _label(axis: Axes, text: str) -> None:
    axis.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=8, labelpad=6)


def _head(axis: Axes, text: str) -> None:
    axis.set_title(text, fontsize=8, loc="left", pad=6)


def _strip(spikes_TCHW: npt.NDArray[np.uint8], parts: int) -> list[Image]:
    """Return pictures of consecutive steps, all on one scale."""
    totals = [part.sum(axis=0, dtype=np.float64) for part in np.array_split(spikes_TCHW, parts)]
    full = _full_ink(np.stack(totals))
    return [_coloured(total_CHW, full) for total_CHW in totals]


def _picture(spikes_TCHW: npt.NDArray[np.uint8]) -> Image:
    total_CHW = spikes_TCHW.sum(axis=0, dtype=np.float64)
    return _coloured(total_CHW, _full_ink(total_CHW))


def _full_ink(totals: Image) -> float:
    """Return the total drawn in full colour. The highest hundredth may saturate, so that one hot
    pixel does not dim the rest.
    """
    active = totals[totals > 0]
    return float(np.quantile(active, 0.99)) if active.size else 1.0


def _coloured(total_CHW: Image, full: float) -> Image:
    """Return an RGB picture: white, less each polarity's ink in proportion to its total."""
    off_HW, on_HW = np.minimum(total_CHW / full, 1.0)
    ink = off_HW[..., None] * (1 - _OFF_RGB) + on_HW[..., None] * (1 - _ON_RGB)
    picture: Image = np.clip(1 - ink, 0.0, 1.0)
    return picture
