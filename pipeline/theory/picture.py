"""The picture of the mechanism. Same input, same bytes."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from export.files import replacing

_DPI = 150
_INK, _ACCENT = "#1f2933", "#0b6e99"


def mechanism_picture(
    parameter_gradients: Sequence[float], input_gradients: Sequence[float], path: Path
) -> None:
    """Draw ‖∇ₓℓ‖ over ‖∇_wℓ‖, a point a recording; logarithmic where all are above 0."""
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(parameter_gradients, input_gradients, s=18, color=_ACCENT, alpha=0.7, linewidths=0)
    if min(*parameter_gradients, *input_gradients) > 0:
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("parameter gradient of one recording, ℓ2", color=_INK)
    axes.set_ylabel("input gradient of the same recording, ℓ2", color=_INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(which="both", colors=_INK, labelsize=8.5)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})
