"""`hardspike latency`."""

import argparse
from pathlib import Path

from export.errors import HardspikeError
from hardware.target import available_cores
from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter
from pipeline.stages import load_run

_REPEATS, _THREADS = 500, (1, 2)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike latency`."""
    command.add_argument("source", metavar="RUN", type=Path, help="run folder")
    command.add_argument(
        "--repeats",
        type=int,
        default=_REPEATS,
        help=f"calls of each kind after warm-up (default: {_REPEATS})",
    )
    command.add_argument(
        "--threads",
        metavar="N,N",
        help="thread counts to measure with (default: 1,2, or 1 where there is one processor)",
    )


def carry_out(options: argparse.Namespace) -> None:
    """Time a deployed run, write its `latency/` folder and print the tables.

    Raises:
        HardspikeError: faults in the arguments or the run.
    """
    from pipeline.latency.measure import latency
    from pipeline.latency.page import cells, conditions, throughput_cells

    threads = thread_counts(options.threads)
    run: Path = options.source
    config = load_run(run)
    reporter = Reporter(options.quiet or options.json)
    report = latency(config, run, options.repeats, threads, reporter)
    if options.json:
        print_json(report)
        return
    print_table(f"{config.name}: latency on the CPU", cells(report), wide=True)
    print_table(f"{config.name}: throughput", throughput_cells(report))
    print(conditions(report))


def thread_counts(text: str | None) -> list[int]:
    """Return the thread counts that `--threads` names, in order and once each.

    Raises:
        HardspikeError: the text is no list of whole numbers.
    """
    if text is None:
        return [count for count in _THREADS if count <= available_cores()]
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise HardspikeError(
            f"--threads: found {text!r}, allowed are whole numbers with commas between, as in 1,2"
        ) from None
