"""The command line of a study in parts: what has no record is run, then the page is written."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping

from benchmarks.study.parallel import Say
from benchmarks.training_step import at_least_one
from export.errors import EXIT_STATUS, HardspikeError

Part = Callable[[int, str, Say], list[str]]
"""Runs what is missing, given jobs, the texts of `--only` and where to say it; returns failures."""


def carry_out(
    name: str, about: str | None, parts: Mapping[str, Part], write: Callable[[], None]
) -> int:
    """Read the command line, run the parts that it asks for and `write`; return the exit status."""
    parser = argparse.ArgumentParser(prog=name, description=about)
    parser.add_argument("--part", choices=parts, help="one part alone, and no page")
    parser.add_argument("--jobs", type=at_least_one, default=max(1, (os.cpu_count() or 1)))
    parser.add_argument(
        "--only",
        default="",
        help="run only what has all of these texts, parted by commas, in its name",
    )
    parser.add_argument("--page", action="store_true", help="run nothing, write the page alone")
    options = parser.parse_args()
    failed: list[str] = []
    try:
        for part_name, part in parts.items():
            if not options.page and options.part in (None, part_name):
                failed += part(options.jobs, options.only, lambda line: print(line, flush=True))
        if options.part is None:
            write()
    except HardspikeError as error:
        failed += str(error).splitlines()
    for line in failed:
        print(f"{name}: {line}", file=sys.stderr)
    return EXIT_STATUS if failed else 0
