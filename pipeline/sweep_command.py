"""`hardspike sweep`."""

import argparse
from pathlib import Path

from export.errors import HardspikeError
from pipeline.config_file import default_run_folder
from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter
from pipeline.run_dir import CONFIG_FILE


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike sweep`."""
    command.add_argument(
        "source", metavar="CONFIG", type=Path, help="experiment file (YAML) or run folder"
    )
    command.add_argument("--out", type=Path, help="folder of the runs (default: runs/NAME-sweep)")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=VALUE,VALUE",
        dest="overrides",
        help="values of one key, divided by commas outside of brackets; may be given again",
    )
    command.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="runs at once, which share the cores (default: 1); weights are the same to the bit, "
        "and a killed training goes on, only at the same number of threads",
    )


def carry_out(options: argparse.Namespace) -> None:
    """Run a sweep and print its comparison, or its index as JSON.

    Raises:
        HardspikeError: faults in the arguments, before anything runs; or one line a failed run.
    """
    from pipeline.sweep import failures, run_sweep
    from pipeline.sweep_plan import plan

    if options.jobs < 1:
        raise HardspikeError(f"--jobs: found {options.jobs}, allowed is 1 or more")
    source: Path = options.source
    if not source.exists():
        raise HardspikeError(f"{source}: not found; allowed is an experiment file or a run folder")
    planned = plan(source / CONFIG_FILE if source.is_dir() else source, options.overrides)
    default = default_run_folder(planned[0].config)
    parent = options.out or default.with_name(f"{default.name}-sweep")
    reporter = Reporter(quiet=options.quiet or options.json)
    reporter.line(f"{planned[0].config.name}: {len(planned)} runs in {parent}")
    index = run_sweep(planned, parent, options.jobs, reporter)
    failed = failures(index)
    if options.json:
        print_json(index)
    else:
        _print_comparison(parent, [entry["run"] for entry in index["runs"]])
    if failed:
        raise HardspikeError(*failed)


def _print_comparison(parent: Path, names: list[str]) -> None:
    from pipeline.compare import compare
    from pipeline.compare_table import build_rows, table_rows

    finished = [parent / name for name in names if (parent / name / CONFIG_FILE).exists()]
    try:
        comparison = compare(finished)
    except HardspikeError:
        return  # no run got far enough; why, is said of each
    print_table(str(parent), table_rows(build_rows(comparison)), wide=True)
