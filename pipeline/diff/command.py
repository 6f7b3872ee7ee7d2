"""`hardspike diff`."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.diff.given import OPTIONS
from pipeline.imported.import_command import add_options, positive
from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter

DIFFERENT = 1
"""The exit status where a spike or a prediction differs."""
_SAMPLES = 20


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike diff`."""
    what = (
        "run or deploy folder, NIR, netx or ONNX file, or .safetensors network; @TARGET behind it "
        "names what runs it (default: reference; for an ONNX file ONNX Runtime), @reset=subtract "
        "and the like what the options below say, of this side alone"
    )
    command.add_argument("a", metavar="A", help=what)
    command.add_argument("b", metavar="B", help="the same, to hold against A")
    command.add_argument(
        "--data",
        type=Path,
        metavar="RUN|CONFIG",
        help="whose test recordings are used (default: those of A's run, else of B's, else random)",
    )
    command.add_argument(
        "--random",
        metavar="RATE",
        help="random spikes: a share of active inputs a step, as 0.1, or a rate, as 50Hz "
        "(default where there are no recordings: 0.2)",
    )
    command.add_argument(
        "--samples", type=int, default=_SAMPLES, help=f"recordings (default: {_SAMPLES})"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="draws recordings and random spikes (default: 0)"
    )
    command.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for diff.json, diff.md and diff.png (default: diff-A-B here)",
    )
    of_files = command.add_argument_group(
        "files of other toolkits", "what they leave open, as for `hardspike import`; on both sides"
    )
    add_options(of_files)
    of_files.add_argument(
        "--seconds", type=positive, help="length of a step in seconds, for --random in Hz"
    )


def carry_out(options: argparse.Namespace) -> int:
    """Compare, write the folder and print; return 0 where all is equal, 1 where something differs.

    Raises:
        HardspikeError: faults in the arguments, a file or the recordings, or a target cannot run.
    """
    from pipeline.diff.measure import diff
    from pipeline.diff.page import sentences
    from pipeline.diff.table import layer_rows, parameter_rows, parting_rows

    reporter = Reporter(options.quiet or options.json)
    report, folder = diff(
        options.a,
        options.b,
        options.data,
        options.random,
        options.samples,
        options.seed,
        options.out,
        reporter,
        said_in(options),
    )
    if options.json:
        print_json(report)
    else:
        title = f"A: {options.a}, B: {options.b}, {report['recordings']['what']}"
        print_table(title, layer_rows(report), wide=True)
        if report["first_parting"] is not None:
            print_table("", parting_rows(report), wide=True)
        print_table("parameters, A / B", parameter_rows(report), wide=True)
        print("\n".join(sentences(report)))
        for note in report["notes"]:
            reporter.line(f"note: {note}")
    reporter.line(f"diff      {folder / 'diff.md'}")
    return 0 if report["equal"] else DIFFERENT


def said_in(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of files of other toolkits."""
    named = {name: getattr(options, name) for name in (*OPTIONS, "seconds")}
    named["settings"] = tuple(options.settings) or None
    return {name: value for name, value in named.items() if value is not None}
