"""One recording's spikes, layer under layer. Axes: `T` time step, `N` neuron."""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pipeline.pictures import most_active
from pipeline.report_page.svg import WIDTH, Chart, Drawing, Scale, bottom_ticks, number

_LEFT, _RIGHT, _TITLE, _PANEL, _GAP, _BELOW = 12.0, 12.0, 15.0, 76.0, 8.0, 36.0
Grids = Mapping[str, NDArray[np.uint8]]


def raster_chart(name: str, grids_TN: Grids, expected_TN: Grids, dt_ms: float) -> Chart:
    """Draw the spikes of every layer on the target `name`; a cell that differs has another colour.

    `grids_TN` is layer → spikes, in order, and `expected_TN` the same on the reference. Of a layer
    with many neurons the 120 most active on the reference are shown.
    """
    step = _TITLE + _PANEL + _GAP
    height = step * len(grids_TN) + _BELOW
    drawing = Drawing(height, f"Spikes of every layer on {name}")
    steps = next(iter(grids_TN.values())).shape[0]
    x = Scale(0, steps * dt_ms, _LEFT, WIDTH - _RIGHT)
    for row, (layer, shown_TN) in enumerate(grids_TN.items()):
        rows = most_active(expected_TN[layer])
        differ = int((shown_TN != expected_TN[layer]).sum())
        title = f"{layer}: {np.count_nonzero(shown_TN):,} spikes"
        title += f", {len(rows):,} of {shown_TN.shape[1]:,} neurons"
        title += f", {differ:,} differ" if differ else ""
        top = row * step
        drawing.add("text", title, class_="name", x=_LEFT, y=top + 11)
        _panel(drawing, layer, shown_TN, expected_TN[layer], rows, top + _TITLE, dt_ms)
    bottom_ticks(drawing, x, height - _BELOW, f"ms on {name}")
    return Chart(drawing.markup())


def _panel(
    drawing: Drawing,
    layer: str,
    shown_TN: NDArray[np.uint8],
    expected_TN: NDArray[np.uint8],
    rows: NDArray[np.int64],
    top: float,
    dt_ms: float,
) -> None:
    steps, width = shown_TN.shape[0], WIDTH - _LEFT - _RIGHT
    drawing.add("rect", class_="panel", x=_LEFT, y=top, width=width, height=_PANEL)
    scale = f"scale({width / steps:.6g} {_PANEL / len(rows):.6g})"
    group = drawing.add("g", transform=f"translate({number(_LEFT)} {number(top)}) {scale}")
    differs_TN = shown_TN[:, rows] != expected_TN[:, rows]
    _cells(drawing, group, (shown_TN[:, rows] > 0) & ~differs_TN, "spike")
    _cells(drawing, group, differs_TN, "differs")
    drawing.add(
        "rect",
        class_="over",
        x=_LEFT,
        y=top,
        width=width,
        height=_PANEL,
        data_layer=layer,
        data_steps=steps,
        data_step_ms=f"{dt_ms:.6g}",
        data_rows=",".join(map(str, rows)),
    )


def _cells(
    drawing: Drawing, group: ElementTree.Element, cells_TN: NDArray[np.bool_], look: str
) -> None:
    path = "".join(
        f"M{start} {neuron}h{length}v1h-{length}z"
        for neuron, cells_T in enumerate(cells_TN.T)
        for start, length in _runs(cells_T)
    )
    if path:
        drawing.add("path", None, group, class_=look, d=path)


def _runs(cells_T: NDArray[np.bool_]) -> Sequence[tuple[int, int]]:
    """Return start and length of every unbroken row of cells."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], cells_T.astype(np.int8), [0]])))
    return [
        (int(start), int(end - start)) for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]
