"""`hardspike theory`."""

import argparse
from pathlib import Path

from export.errors import HardspikeError
from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter
from pipeline.stages import load_run


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike theory`."""
    command.add_argument("source", metavar="RUN", type=Path, help="run folder")
    command.add_argument(
        "--samples", type=int, default=64, help="recordings to measure on (default: 64)"
    )
    command.add_argument("--seed", type=int, default=0, help="draws them (default: 0)")


def carry_out(options: argparse.Namespace) -> None:
    """Measure a trained run, write its `theory/` folder and print the table.

    Raises:
        HardspikeError: faults in the arguments or the run; or, after the table, one line a bound
            that does not hold, which is a fault of its derivation.
    """
    from pipeline.theory.measure import FOLDER, theory
    from pipeline.theory.table import cells, violated

    run: Path = options.source
    config = load_run(run)
    reporter = Reporter(options.quiet or options.json)
    report = theory(config, run, options.samples, options.seed, reporter)
    if options.json:
        print_json(report)
    else:
        print_table(f"{config.name}: theory, measured", cells(report), wide=True)
    broken = violated(report["rows"])
    if broken:
        raise HardspikeError(*(f"{run / FOLDER}: bound violated: {name}" for name in broken))
