"""The theory's figures of a few networks of the study, each trained anew on one fold.

    python -m benchmarks.sast_study.theory [--jobs N]

A record has the whole report of `hardspike theory` and the hash of the weights that it is of.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.records import Sha256
from benchmarks.sast_study.plan import ARMS, NMNIST, RECORDS, plan
from benchmarks.statistics import summary
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from benchmarks.study.runs import Planned, is_of_config
from benchmarks.study.tables import Row
from benchmarks.training_step import at_least_one
from export.errors import EXIT_STATUS, HardspikeError
from export.files import sha256
from pipeline.config_file import config_tree
from pipeline.progress import Reporter
from pipeline.schema import Model
from pipeline.stages import run_stages

SCHEMA = "hardspike.study-theory/1"
MEASURED = Path("theory/measured.json")
"""Below the records' folder."""
RUNS = Path("runs/study-sast-theory")
MEASURED_ARMS, SAMPLES, DRAW = ("plain", "sast", "theory", "recipe-hard"), 64, 0
SPLIT = "fold0-seed0-8bit"
_WEIGHTS = "train/model.safetensors"
_HOST = "platform"


class Measured(Model):
    """The report of a network, without the name of the host."""

    config: dict[str, Any]
    weights: Sha256
    report: dict[str, Any]


def measured_runs() -> dict[str, Planned]:
    """Return arm → the run of the study whose training is measured.

    Raises:
        HardspikeError: an experiment file has faults.
    """
    names = {f"{NMNIST}-{arm}-{SPLIT}": arm for arm in MEASURED_ARMS}
    return {names[run.name]: run for runs in plan() for run in runs if run.name in names}


def read_measured(folder: Path) -> dict[str, Measured]:
    """Return the records by arm, in the order of the table."""
    found = read_entries(folder / MEASURED, Measured, SCHEMA)
    return {arm: found[arm] for arm in MEASURED_ARMS if arm in found}


def measure_missing(jobs: int, say: Say) -> list[str]:
    """Train and measure what has no record of its config; return a line for each that failed."""
    done = read_measured(RECORDS)
    due = {
        arm: run
        for arm, run in measured_runs().items()
        if arm not in done or not is_of_config(done[arm].config, run.config)
    }
    return side_by_side([(arm, partial(_measure, arm, run)) for arm, run in due.items()], jobs, say)


def _measure(arm: str, planned: Planned) -> str:
    from pipeline.theory.measure import theory

    run, quiet = RUNS / planned.name, Reporter(quiet=True)
    run_stages(planned.config, run, ["train"], quiet)
    report = theory(planned.config, run, SAMPLES, DRAW, quiet)
    versions = {name: text for name, text in report["versions"].items() if name != _HOST}
    entry = Measured(
        config=config_tree(planned.config),
        weights=sha256(run / _WEIGHTS),
        report=report | {"versions": versions},
    )
    add_entry(RECORDS / MEASURED, arm, entry, SCHEMA)
    return f"smoothness {report['loss']['smoothness_estimate']:.3g}"


def theory_table(measured: Mapping[str, Measured]) -> list[Row]:
    """Return a row a quantity and a column a network; the head comes first."""
    reports = [one.report for one in measured.values()]
    head = ("", *(ARMS[arm][0] for arm in measured))
    return [head, *((name, *(text(report) for report in reports)) for name, text in _QUANTITIES)]


Report = Mapping[str, Any]


def _largest(values: Sequence[float | None]) -> str:
    return "over 1.8e308" if None in values else f"{max(v for v in values if v is not None):.3g}"


def _layers(*path: str) -> Callable[[Report], str]:
    """Return how to read the largest value among the layers."""

    def text(report: Report) -> str:
        found = list(report["layers"])
        for key in path:
            found = [one[key] for one in found]
        return _largest(found)

    return text


def _kept(report: Report) -> str:
    shares = [layer["contraction"]["seen_expanding_share"] for layer in report["layers"]]
    return ", ".join(f"{100 * share:.1f}%" for share in shares)


def _membranes(report: Report) -> str:
    pairs = [(one["membrane"]["seen_high"], one["membrane"]["high"]) for one in report["layers"]]
    return ", ".join(f"{seen:.2g} ≤ {bound:.2g}" for seen, bound in pairs)


def _bounds(report: Report) -> str:
    rows = [row for row in report["rows"] if row["kind"] == "bound"]
    return f"{sum(row['holds'] for row in rows)} of {len(rows)}"


def _assumptions(report: Report) -> str:
    """Return the assumptions that are known to fail."""
    rows = [row for row in report["rows"] if row["kind"] == "assumption"]
    failed = dict.fromkeys(row["name"].split()[0] for row in rows if row["holds"] is False)
    return ", ".join(failed) or "none"


def _lipschitz(report: Report) -> str:
    found = report["lipschitz"]["l2"]
    return f"{found['local']:.3g} ≤ {_largest([found['bound']])}"


def _ascent(report: Report) -> str:
    step = report["loss"]["ascent"][-1]
    return f"{step['predicted']:.3g}, {step['actual']:.3g} (ρ = {step['rho']:g})"


def _step_size(report: Report) -> str:
    limit, rate = report["loss"]["largest_step_size"], report["training"]["learning_rate"]
    return f"{rate:g} against {_largest([limit])}"


def _mean(key: str) -> Callable[[Report], str]:
    return lambda report: f"{summary(report['mechanism'][key]).mean:.3g}"


def _correlations(suffix: str) -> Callable[[Report], str]:
    keys = [f"{key}{suffix}" for key in ("pearson", "spearman")]
    return lambda report: ", ".join(f"{report['mechanism'][key]:.2f}" for key in keys)


def mechanism(measured: Mapping[str, Measured]) -> str:
    """Say what became of a recording's gradients under SAST; nothing without both networks."""
    if not {"plain", "sast"} <= measured.keys():
        return ""
    ratios = [
        summary(measured["sast"].report["mechanism"][key]).mean
        / summary(measured["plain"].report["mechanism"][key]).mean
        for key in ("parameter_gradients", "input_gradients")
    ]
    return (
        f"Of these two networks SAST's has {ratios[0]:.2f} of the plain one's mean ‖∇_wℓ‖ and "
        f"{ratios[1]:.2f} of its mean ‖∇ₓℓ‖: over recordings of one network the two go together, "
        "from one network to the other they need not."
    )


def _recordings(report: Report) -> str:
    return f"{report['recordings']['n']} of {report['recordings']['split']}"


_QUANTITIES: tuple[tuple[str, Callable[[Report], str]], ...] = (
    ("recordings", _recordings),
    ("slope β of the last epoch", lambda report: f"{report['activation']['slope']:g}"),
    ("assumptions known to fail", _assumptions),
    ("bounds that hold", _bounds),
    ("A3 κ, largest seen", _layers("contraction", "seen")),
    ("A3 states with κ > 1, by layer", _kept),
    ("A8 η against 1/(4L̂)", _step_size),
    ("T1 membrane from above, seen ≤ bound, by layer", _membranes),
    ("T2 largest ‖∂y/∂x‖₂ seen ≤ bound", _lipschitz),
    ("T3 ‖∇L‖₂", lambda report: f"{report['loss']['gradient_norm']:.3g}"),
    ("T3 smoothness L̂, from below", lambda report: f"{report['loss']['smoothness_estimate']:.3g}"),
    ("P4 ρ‖g‖, L(w + ε) − L(w)", _ascent),
    ("P6 mean ‖∇_wℓ‖ of a recording", _mean("parameter_gradients")),
    ("P6 mean ‖∇ₓℓ‖ of a recording", _mean("input_gradients")),
    ("P6 Pearson r, Spearman ρ of the two", _correlations("")),
    ("P6 the same, both over ‖∂ℓ/∂y‖", _correlations("_per_evidence")),
)


def main() -> int:
    """Measure what has no record yet."""
    parser = argparse.ArgumentParser(prog="sast_study.theory", description=__doc__)
    parser.add_argument("--jobs", type=at_least_one, default=1)
    options = parser.parse_args()
    try:
        failed = measure_missing(options.jobs, lambda line: print(line, flush=True))
    except HardspikeError as error:
        failed = str(error).splitlines()
    for line in failed:
        print(f"sast_study.theory: {line}", file=sys.stderr)
    return EXIT_STATUS if failed else 0


if __name__ == "__main__":
    sys.exit(main())
