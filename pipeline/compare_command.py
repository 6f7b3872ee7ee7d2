"""`hardspike compare`."""

import argparse
from pathlib import Path

from export.errors import HardspikeError
from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike compare`."""
    command.add_argument(
        "sources", metavar="RUN", type=Path, nargs="+", help="run folder, or folder of runs"
    )
    command.add_argument(
        "--over",
        default="",
        metavar="KEY,KEY",
        help="average over runs that differ in these keys alone: mean ± standard deviation",
    )
    command.add_argument(
        "--cost",
        choices=("seconds", "gradient_evaluations", "flops", "joules"),
        default="seconds",
        help="training cost on the picture's axis (default: seconds)",
    )
    command.add_argument(
        "--out", type=Path, help="PNG of the picture (default: compare.png beside the runs)"
    )
    command.add_argument(
        "--html", type=Path, metavar="FILE", help="write the comparison as a page too"
    )


def carry_out(options: argparse.Namespace) -> None:
    """Print a comparison and draw its picture.

    Raises:
        HardspikeError: faults in the arguments; or, after the table of the others, one line a run
            that cannot be compared.
    """
    from pipeline.compare import compare, default_picture
    from pipeline.compare_table import as_json, build_rows, require_cost, table_rows
    from pipeline.pareto_picture import pareto_picture

    over = [key.strip() for key in options.over.split(",") if key.strip()]
    comparison = compare(options.sources)
    rows = build_rows(comparison, over)
    require_cost(rows, options.cost)
    picture = options.out or default_picture(comparison.runs)
    pareto_picture(rows, options.cost, picture)
    if options.html is not None:
        from pipeline.report_page.compare_page import write_compare_page

        write_compare_page(comparison, rows, options.cost, options.html)
    if options.json:
        print_json(as_json(comparison, rows, str(picture)))
    else:
        title = f"{len(comparison.runs)} runs" + (f", mean over {', '.join(over)}" if over else "")
        print_table(title, table_rows(rows), wide=True)
        Reporter(options.quiet).line(f"picture: {picture}")
        if options.html is not None:
            Reporter(options.quiet).line(f"page: {options.html}")
    if comparison.faults:
        raise HardspikeError(*comparison.faults)
