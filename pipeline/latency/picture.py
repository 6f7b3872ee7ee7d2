"""The distribution of a report's times. Same input, same bytes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from export.files import replacing
from pipeline.latency.page import NAMES, threads_in_words
from pipeline.latency.timing import Times

_DPI = 150
_INK = "#1f2933"
_COLOURS = ("#0b6e99", "#c2571a", "#5b8c3e", "#7a4fa3")


def distribution_picture(samples: Mapping[str, Times], path: Path) -> None:
    """Draw the share of calls done within a time, a panel a kind of call, a line a thread count.

    `samples` are milliseconds by `<threads>.<kind>`.
    """
    kinds = list(dict.fromkeys(key.split(".", 1)[1] for key in samples))
    threads = list(dict.fromkeys(key.split(".", 1)[0] for key in samples))
    figure = Figure(figsize=(6.4, 1.1 + 1.15 * len(kinds)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=True):
        for place, count in enumerate(threads):
            times = np.sort(samples[f"{count}.{kind}"])
            share = np.arange(1, len(times) + 1) / len(times)
            colour = _COLOURS[place % len(_COLOURS)]
            axes.step(times, share, where="post", color=colour, label=threads_in_words(count))
        axes.set_title(NAMES[kind], loc="left", fontsize=9, color=_INK)
        axes.set_yticks([0, 0.5, 1])
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.tick_params(which="both", colors=_INK, labelsize=8)
    panels[-1].set_xscale("log")
    panels[-1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[-1].xaxis.set_major_formatter("{x:g}")
    panels[-1].xaxis.set_minor_formatter(NullFormatter())
    panels[-1].set_xlabel("milliseconds a call", color=_INK)
    figure.supylabel("share of calls within", color=_INK, fontsize=9)
    panels[0].legend(fontsize=8, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})
