"""What a pass of ADMM costs as things grow: the table, and slopes on logarithmic axes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.admm_study.found import Found
from benchmarks.admm_study.scaling import Point
from benchmarks.admm_study.settings import SCALING
from benchmarks.statistics import plus_minus, summary
from benchmarks.study.tables import Row

MEBIBYTE = 2**20
NAMES: Mapping[str, str] = {
    "samples": "recordings",
    "steps": "time steps T",
    "width": "neurons a hidden layer",
    "ranks": "processes",
}


@dataclass(frozen=True)
class Curve:
    """Seconds a pass and peak memory (MiB) against what grows, in its order."""

    grows: str
    sizes: tuple[float, ...]
    seconds: tuple[float, ...]
    memory: tuple[float, ...]

    def slopes(self) -> tuple[float, float]:
        """Return the slopes of seconds and memory on logarithmic axes."""
        return slope(self.sizes, self.seconds), slope(self.sizes, self.memory)


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the least-squares slope of log y over log x."""
    points = [(math.log(x), math.log(y)) for x, y in zip(xs, ys, strict=True)]
    mean_x, mean_y = (math.fsum(values) / len(points) for values in zip(*points, strict=True))
    above = math.fsum((x - mean_x) * (y - mean_y) for x, y in points)
    return above / math.fsum((x - mean_x) ** 2 for x, _ in points)


def curves(found: Found) -> list[Curve]:
    """Return a curve for everything that grows and has two points or more."""
    made = [_curve(grows, found.points) for grows in SCALING]
    return [curve for curve in (*made, _of_ranks(found)) if len(curve.sizes) > 1]


def _curve(grows: str, points: Sequence[Point]) -> Curve:
    own = sorted((one for one in points if one.grows == grows), key=lambda one: one.size)
    return Curve(
        grows,
        tuple(float(one.size) for one in own),
        tuple(one.pass_seconds for one in own),
        tuple(one.peak_bytes / MEBIBYTE for one in own),
    )


def _of_ranks(found: Found) -> Curve:
    """Return the means over seeds of the longest trainings by one and by more processes."""
    longest = max((pair.passes for pair in found.pairs), default=0)
    pairs = [pair for pair in found.pairs if pair.passes == longest]
    ranks = pairs[0].ranks if pairs else ()
    return Curve(
        "ranks",
        tuple(map(float, ranks)),
        tuple(summary([p.seconds[i] / longest for p in pairs]).mean for i in range(len(ranks))),
        tuple(summary([p.peak_bytes[i] / MEBIBYTE for p in pairs]).mean for i in range(len(ranks))),
    )


def scaling_table(found: Found) -> list[Row]:
    """Return one row for everything that grows; the head comes first."""
    rows: list[Row] = [("grows", "from … to", "seconds a pass", "slope", "memory (MiB)", "slope")]
    for curve in curves(found):
        seconds, memory = curve.slopes()
        rows.append(
            (
                NAMES[curve.grows],
                ", ".join(f"{size:g}" for size in curve.sizes),
                ", ".join(f"{value:.2f}" for value in curve.seconds),
                f"{seconds:.2f}".replace("-", "−"),
                ", ".join(f"{value:.0f}" for value in curve.memory),
                f"{memory:.2f}".replace("-", "−"),
            )
        )
    return rows


def ranks_table(found: Found) -> list[Row]:
    """Return one row a number of passes; the head comes first."""
    heads = ("passes", "seeds", "largest difference of a weight", "largest weight")
    rows: list[Row] = [(*heads, "seconds by one process", "by two")]
    for passes in sorted({pair.passes for pair in found.pairs}):
        pairs = [pair for pair in found.pairs if pair.passes == passes]
        rows.append(
            (
                str(passes),
                str(len(pairs)),
                f"{max(pair.max_difference for pair in pairs):.2g}".replace("-", "−"),
                f"{max(pair.largest_weight for pair in pairs):.2f}",
                *(
                    plus_minus(summary([pair.seconds[index] for pair in pairs]))
                    for index in range(2)
                ),
            )
        )
    return rows
