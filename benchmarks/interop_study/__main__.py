"""Bring the study of interoperability up to date and write its page.

    python -m benchmarks.interop_study [--part PART] [--only TOOLKIT …] [--page]

Parts: `toolkits` runs four toolkits on each other's files and ours; `netx` holds files as lava-dl
writes them to Lava; `sinabs` imports graphs of other toolkits and measures one on real recordings;
`hostile` puts damaged files through import and check. Writes `docs/studies/interop.json` after
every part, and the page beside it. A toolkit whose packages cannot be had is named there; no cell
is made up for it. Without the recordings beside the checkout `sinabs` is skipped and its record
kept.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.interop_study.page import page
from benchmarks.interop_study.part_records import hostile_faults, netx_faults, sinabs_faults
from benchmarks.interop_study.parts import PARTS
from benchmarks.interop_study.record import Study, read_study, write_study
from benchmarks.interop_study.settings import FIGURES, PAGE, TOOLKITS
from export.errors import EXIT_STATUS, HardspikeError
from export.files import write_bytes


def main() -> int:
    """Run what was asked for and write both files; 2 where something is unexplained or absent."""
    names = [toolkit.name for toolkit in TOOLKITS]
    parser = argparse.ArgumentParser(prog="interop_study", description=__doc__)
    parser.add_argument("--part", choices=PARTS, help="one part alone")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, help="of the part toolkits"
    )
    parser.add_argument("--page", action="store_true", help="run nothing, write the page alone")
    options = parser.parse_args()
    parts = [] if options.page else [options.part] if options.part else list(PARTS)
    stopped: list[str] = []
    try:
        study = _run(parts, options.only, stopped)
        write_bytes(PAGE, page(study).encode())
    except HardspikeError as error:
        print(f"interop_study: {error}", file=sys.stderr)
        return EXIT_STATUS
    for line in (faults := [*stopped, *_faults(study)]):
        print(f"interop_study: {line}", file=sys.stderr)
    return EXIT_STATUS if faults else 0


def _run(parts: Sequence[str], names: Sequence[str], stopped: list[str]) -> Study:
    """Run the parts, write the record after each, and put into `stopped` why one has stopped.

    Raises:
        HardspikeError: the record is damaged, or there is none and no part to run.
    """
    study = read_study(FIGURES)
    if study is None and not parts:
        raise HardspikeError(f"{FIGURES}: found none; run without --page first")
    study = study or Study()
    for name in parts:
        try:
            study = PARTS[name](names, study, lambda line: print(line, flush=True))
        except HardspikeError as error:
            stopped += [f"{name}: {line}" for line in str(error).splitlines()]
            continue
        write_study(study, FIGURES)
    return study


def _faults(study: Study) -> list[str]:
    cells = [
        f"{cell.toolkit} {cell.direction} {cell.network} {cell.prepared}: {cell.cause}"
        for cell in study.cells
        if cell.status == "unexplained"
    ]
    absent = [f"{name}: {cause}" for name, cause in study.absent.items()]
    others = [
        *netx_faults(study.netx),
        *sinabs_faults(study.sinabs),
        *hostile_faults(study.hostile),
    ]
    return [*absent, *cells, *others]


if __name__ == "__main__":
    sys.exit(main())
