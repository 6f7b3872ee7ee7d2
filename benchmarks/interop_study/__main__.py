"""Run the toolkits on each other's files and ours, and write the matrix.

    python -m benchmarks.interop_study [--only TOOLKIT …] [--page]

Writes `docs/studies/interop.json` and the page beside it. A toolkit whose packages cannot be had is
named there; no cell is made up for it.
"""

import argparse
import sys

from benchmarks.interop_study.page import page
from benchmarks.interop_study.record import read_study, write_study
from benchmarks.interop_study.settings import FIGURES, PAGE, TOOLKITS
from benchmarks.interop_study.study import run_study
from export.errors import EXIT_STATUS, HardspikeError
from export.files import write_bytes


def main() -> int:
    """Run what was asked for and write both files; 2 where a cell is unexplained or absent."""
    names = [toolkit.name for toolkit in TOOLKITS]
    parser = argparse.ArgumentParser(prog="interop_study", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--page", action="store_true", help="run nothing, write the page alone")
    options = parser.parse_args()
    try:
        study = read_study(FIGURES)
        if not options.page:
            study = run_study(options.only, study, lambda line: print(line, flush=True))
            write_study(study, FIGURES)
        if study is None:
            raise HardspikeError(f"{FIGURES}: found none; run without --page first")
        write_bytes(PAGE, page(study).encode())
    except HardspikeError as error:
        print(f"interop_study: {error}", file=sys.stderr)
        return EXIT_STATUS
    faults = [f"{name}: {cause}" for name, cause in study.absent.items()]
    faults += [
        f"{cell.toolkit} {cell.direction} {cell.network} {cell.prepared}: {cell.cause}"
        for cell in study.cells
        if cell.status == "unexplained"
    ]
    for line in faults:
        print(f"interop_study: {line}", file=sys.stderr)
    return EXIT_STATUS if faults else 0


if __name__ == "__main__":
    sys.exit(main())
