"""`hardspike energy`."""

import argparse
from pathlib import Path

from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter
from pipeline.stages import load_run


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike energy`."""
    command.add_argument("source", metavar="RUN", type=Path, help="run folder")
    command.add_argument(
        "--recordings", type=int, default=20, help="test recordings to run (default: 20)"
    )


def carry_out(options: argparse.Namespace) -> None:
    """Model the deployed network's cost, write the run's `energy/` folder and print the tables.

    Raises:
        HardspikeError: faults in the arguments or the run, a network that does not fit the chip, or
            a simulator that did not run.
    """
    from pipeline.energy.measure import energy
    from pipeline.energy.table import cost_rows, mapping_rows, notes

    run: Path = options.source
    config = load_run(run)
    report = energy(config, run, options.recordings, Reporter(options.quiet or options.json))
    if options.json:
        print_json(report)
        return
    print_table(f"{config.name}: cores of Loihi 1", mapping_rows(report), wide=True)
    print_table(f"{config.name}: one inference on Loihi 1, modelled", cost_rows(report), wide=True)
    print("\n".join(notes(report)))
