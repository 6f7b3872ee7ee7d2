"""The rows of a comparison: one a run, or one a group of runs with mean and standard deviation."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.errors import HardspikeError
from pipeline.accuracy_gain import per
from pipeline.compare import BITS, SCHEMA, Comparison, Run, text_of
from pipeline.compare_figures import Figures


@dataclass(frozen=True)
class Value:
    """A mean over runs and their sample standard deviation; none of one run alone."""

    mean: float
    deviation: float | None = None

    def text(self, form: str) -> str:
        """Return e.g. `94.0 ± 0.5`."""
        spread = "" if self.deviation is None else f" ± {self.deviation:{form}}"
        return f"{self.mean:{form}}{spread}"


@dataclass(frozen=True)
class Row:
    """Runs of the same settings, but for those averaged over. Accuracies are in percent.

    `values` is measure → value; a measure that a run of the row lacks is absent.
    """

    runs: Sequence[Run]
    settings: Mapping[str, str]
    values: Mapping[str, Value]

    @property
    def bits(self) -> str:
        """The weight bits of the row's runs."""
        return ", ".join(map(str, sorted({run.figures.bits for run in self.runs})))

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of an interval about the deployed accuracy, in percent.

        One run alone: the 95% Wilson interval over its recordings. Several: mean ± standard
        deviation.
        """
        deployed = self.values["deployed"]
        if deployed.deviation is None:
            low, high = self.runs[0].figures.ci95
            return 100 * low, 100 * high
        return deployed.mean - deployed.deviation, deployed.mean + deployed.deviation


@dataclass(frozen=True)
class Rows:
    """All rows, the keys by which they differ, and the keys averaged over."""

    rows: Sequence[Row]
    keys: Sequence[str]
    over: Sequence[str]

    @property
    def short_keys(self) -> dict[str, str]:
        """Key → as much of its end as tells it from the others."""
        return {key: _short(key, self.keys) for key in self.keys}

    def label(self, row: Row) -> str:
        """Return the settings of a row in words; the run's name where all settings are the same."""
        short = self.short_keys
        texts = [f"{short[key]}={row.settings[key]}" for key in self.keys]
        return " ".join(texts) or row.runs[0].path.name


def build_rows(comparison: Comparison, over: Sequence[str] = ()) -> Rows:
    """Return one row a run, or with `over` one a group of runs that differ in those keys alone.

    A key stands for all below it: `data.source` for `data.source.fold`.

    Raises:
        HardspikeError: the runs have no such key.
    """
    known = {key for run in comparison.runs for key in run.settings}
    for wanted in over:
        if not any(_below(key, wanted) for key in known):
            differing = ", ".join(comparison.keys) or "none, for the runs are of one config"
            raise HardspikeError(f"--over {wanted}: no such key; the runs differ in {differing}")
    keys = [key for key in comparison.keys if not any(_below(key, wanted) for wanted in over)]
    groups: dict[Any, list[Run]] = {}
    for place, run in enumerate(comparison.runs):
        identity = tuple(text_of(run.settings.get(key)) for key in keys)
        groups.setdefault(identity if over else place, []).append(run)
    shown = [key for key in keys if key != BITS]
    rows = [
        Row(runs, {key: text_of(runs[0].settings.get(key)) for key in shown}, _values(runs))
        for runs in groups.values()
    ]
    return Rows(rows, shown, over)


def _below(key: str, wanted: str) -> bool:
    return key == wanted or key.startswith(f"{wanted}.")


def _short(key: str, keys: Sequence[str]) -> str:
    parts = key.split(".")
    for count in range(1, len(parts)):
        end = ".".join(parts[-count:])
        if sum(other == end or other.endswith(f".{end}") for other in keys) == 1:
            return end
    return key


_MEASURES: Mapping[str, Callable[[Figures], float | None]] = {
    "smooth": lambda figures: None if figures.smooth is None else 100 * figures.smooth,
    "hard": lambda figures: 100 * figures.hard,
    "lost": lambda figures: None if figures.lost is None else 100 * figures.lost,
    "deployed": lambda figures: 100 * figures.deployed,
    "synops": lambda figures: figures.synops,
    "seconds": lambda figures: figures.seconds,
    "gradient_evaluations": lambda figures: figures.gradient_evaluations,
    "flops": lambda figures: figures.flops,
    "joules": lambda figures: figures.joules,
    "points_per_second": lambda figures: per(figures.gained, figures.seconds),
    "points_per_joule": lambda figures: per(figures.gained, figures.joules),
}


def _values(runs: Sequence[Run]) -> dict[str, Value]:
    columns: dict[str, list[float | None]] = {
        name: [measure(run.figures) for run in runs] for name, measure in _MEASURES.items()
    }
    corruptions = dict.fromkeys(name for run in runs for name in run.figures.corruptions)
    for name in corruptions:
        shares = [run.figures.corruptions.get(name) for run in runs]
        columns[name] = [None if share is None else 100 * share for share in shares]
    found = {}
    for name, column in columns.items():
        numbers = [number for number in column if number is not None]
        if len(numbers) == len(column):
            spread = statistics.stdev(numbers) if len(numbers) > 1 else None
            found[name] = Value(statistics.fmean(numbers), spread)
    return found


def require_cost(rows: Rows, cost: str) -> None:
    """Refuse a measure of cost that a run lacks.

    Raises:
        HardspikeError: one line that names the first such run.
    """
    for row in rows.rows:
        for run in row.runs:
            if _MEASURES[cost](run.figures) is None:
                raise HardspikeError(
                    f"--cost {cost}: {run.path} has none in train/cost.json; allowed is a cost "
                    "that all runs have, such as seconds"
                )


def table_rows(rows: Rows) -> list[Sequence[str]]:
    """Return the table, header first."""
    names = _distinct_names([row.runs[0] for row in rows.rows])
    columns: list[tuple[str, list[str]]] = []

    def add(header: str, cell: Callable[[Row], str]) -> None:
        columns.append((header, [cell(row) for row in rows.rows]))

    def measure(header: str, name: str, form: str) -> None:
        add(header, lambda row: row.values[name].text(form) if name in row.values else "–")

    if not rows.over:
        columns.append(("run", names))
    for key, short in rows.short_keys.items():
        add(short, lambda row, key=key: row.settings[key])  # type: ignore[misc]
    if rows.over:
        add("runs", lambda row: str(len(row.runs)))
    measure("smooth %", "smooth", ".1f")
    measure("hard %", "hard", ".1f")
    measure("lost", "lost", ".1f")
    measure("deployed %", "deployed", ".1f")
    if not rows.over:
        add("95%", lambda row: "{:.1f}–{:.1f}".format(*row.interval))
    add("n", lambda row: _several(row, lambda figures: f"{figures.n:,}"))
    add("bits", lambda row: row.bits)
    measure("SynOps", "synops", ",.0f")
    measure("train s", "seconds", ",.1f")
    measure("gradients", "gradient_evaluations", ",.0f")
    for title, name, form in (
        ("points/s", "points_per_second", ".3g"),
        ("FLOPs", "flops", ".3g"),
        ("joules", "joules", ",.0f"),
        ("points/J", "points_per_joule", ".3g"),
    ):
        if any(name in row.values for row in rows.rows):
            measure(title, name, form)
    for name in dict.fromkeys(
        name for row in rows.rows for run in row.runs for name in run.figures.corruptions
    ):
        measure(f"{name} %", name, ".1f")
    if one_machine(rows) is None:
        add("trained on", lambda row: _several(row, machine))
    header, cells = zip(*columns, strict=True)
    return [header, *zip(*cells, strict=True)]


def machine(figures: Figures) -> str:
    """Return what a run was trained on."""
    threads = f", {figures.threads} thread{'s' if figures.threads > 1 else ''}"
    return figures.device + (threads if figures.device == "cpu" else "")


def one_machine(rows: Rows) -> str | None:
    """Return what all runs were trained on; None where they differ, and their seconds with them."""
    found = {machine(run.figures) for row in rows.rows for run in row.runs}
    return found.pop() if len(found) == 1 else None


def _several(row: Row, text: Callable[[Figures], str]) -> str:
    return "; ".join(dict.fromkeys(text(run.figures) for run in row.runs))


def _distinct_names(runs: Sequence[Run]) -> list[str]:
    names = [run.path.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def as_json(comparison: Comparison, rows: Rows, picture: str) -> dict[str, Any]:
    """Return the comparison as plain values: every run, and the groups where runs were averaged."""
    runs = [
        {
            "run": str(run.path),
            "settings": {key: run.settings.get(key) for key in comparison.keys},
            **run.figures.as_json(),
        }
        for run in comparison.runs
    ]
    groups = [
        {
            "settings": {key: row.runs[0].settings.get(key) for key in rows.keys},
            "bits": row.bits,
            "runs": [str(run.path) for run in row.runs],
            "figures": {
                name: {"mean": value.mean, "sd": value.deviation}
                for name, value in row.values.items()
            },
        }
        for row in rows.rows
    ]
    found = {
        "schema": SCHEMA,
        "keys": list(comparison.keys),
        "runs": runs,
        "not_compared": list(comparison.faults),
        "picture": picture,
    }
    return found | ({"over": list(rows.over), "groups": groups} if rows.over else {})
