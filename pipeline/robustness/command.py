"""`hardspike robustness`."""

import argparse
from pathlib import Path
from typing import get_args

from pipeline.config import TargetName
from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter
from pipeline.stages import load_run

SUITE = Path(__file__).resolve().parents[2] / "configs" / "robustness.yaml"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike robustness`."""
    command.add_argument("source", metavar="RUN", type=Path, help="run folder")
    command.add_argument(
        "--suite",
        type=Path,
        default=SUITE,
        metavar="FILE",
        help="corruptions and faults (default: configs/robustness.yaml)",
    )
    command.add_argument(
        "--target",
        choices=get_args(TargetName),
        default="onnxruntime",
        help="what runs the deployed files (default: onnxruntime)",
    )
    command.add_argument(
        "--limit", type=int, help="test recordings, in the classes' proportions (default: all)"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="draws corruptions and faults (default: 0)"
    )


def carry_out(options: argparse.Namespace) -> None:
    """Measure a deployed run, write its `robustness/` folder and print the tables.

    Raises:
        HardspikeError: faults in the arguments, the suite or the run, or the target fails.
    """
    from pipeline.robustness.measure import robustness
    from pipeline.robustness.settings import load_suite
    from pipeline.robustness.table import PARTS, conclusion, refusals, rows

    run: Path = options.source
    config, suite = load_run(run), load_suite(options.suite)
    reporter = Reporter(options.quiet or options.json)
    report = robustness(config, run, suite, options.target, options.limit, options.seed, reporter)
    if options.json:
        print_json(report)
        return
    for part, words in PARTS.items():
        if report[part]:
            print_table(f"{config.name}: {words}", rows(report, part), wide=True)
    for reason in refusals(report):
        print(f"refused: {reason}")
    print(conclusion(report))
