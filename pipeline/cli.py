"""The command line: parse, dispatch, print. Bad input is one line and exit status 2."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

from rich import box
from rich.console import Console
from rich.table import Table

from export.errors import EXIT_STATUS, HardspikeError
from export.files import read_json
from pipeline import __version__
from pipeline.config import Config
from pipeline.config_file import default_run_folder, load_config
from pipeline.progress import Reporter
from pipeline.run_dir import CONFIG_FILE
from pipeline.stages import STAGE_NAMES, load_run, run_stages

_INTERRUPTED = 130
_RESULTS = {
    "train": "cost.json",
    "convert": "ladder.json",
    "deploy": "manifest.json",
    "evaluate": "evaluation.json",
}
_COMMANDS = {
    "run": (
        "run every stage of an experiment, or those that are due",
        "hardspike run configs/quickstart.yaml --set train.rho=0.2 --out runs/rho-0.2",
    ),
    "train": ("train alone", "hardspike train configs/quickstart.yaml"),
    "convert": ("convert a trained run to fixed point", "hardspike convert runs/quickstart"),
    "deploy": ("write NIR, ONNX and netx files", "hardspike deploy runs/quickstart"),
    "evaluate": (
        "run the deployed files on every target",
        "hardspike evaluate runs/quickstart --force",
    ),
    "report": ("gather figures, page and pictures", "hardspike report runs/quickstart --json"),
    "targets": ("list targets and whether they can run here", "hardspike targets"),
    "data": (
        "show an experiment's recordings: counts, classes, events, contact sheet",
        "hardspike data configs/quickstart.yaml --out sheet.png",
    ),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise HardspikeError(f"{message} (see `{self.prog} --help`)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hardspike",
        description="Train a spiking network, convert it to hard fixed-point spikes, deploy it "
        "and measure the deployed files.",
    )
    parser.add_argument("--version", action="version", version=f"hardspike {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, example) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=f"Example: {example}",
        )
        if name != "targets":
            _add_experiment(command, name)
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.add_argument("--quiet", action="store_true", help="print nothing but the result")
    return parser


def _add_experiment(command: argparse.ArgumentParser, name: str) -> None:
    starts = name in ("run", "train", "data")
    what = "experiment file (YAML) or run folder" if starts else "run folder"
    command.add_argument("source", metavar="CONFIG" if starts else "RUN", type=Path, help=what)
    if starts:
        where = "PNG of the contact sheet" if name == "data" else "run folder (default: runs/NAME)"
        command.add_argument("--out", type=Path, help=where)
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="a.b=VALUE",
            dest="overrides",
            help="set one key of the experiment; may be given again",
        )
    if name != "data":
        command.add_argument("--force", action="store_true", help="do it again though it is done")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        _end_in_order()
        options = _parser().parse_args(arguments)
        _dispatch(options)
    except HardspikeError as error:
        for line in str(error).splitlines():
            print(f"hardspike: {line}", file=sys.stderr)
        return EXIT_STATUS
    except BrokenPipeError:
        sys.stdout = None  # the reader went away; nothing is left to flush
        return EXIT_STATUS
    except OSError as error:
        name = error.filename or "a file"
        print(f"hardspike: {name}: {error.strerror or error}", file=sys.stderr)
        return EXIT_STATUS
    except MemoryError as error:
        print(f"hardspike: out of memory ({error}); fewer steps or recordings", file=sys.stderr)
        return EXIT_STATUS
    except KeyboardInterrupt:
        print("hardspike: interrupted; run it again to go on", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _end_in_order() -> None:
    """Let a request to end (SIGTERM, a closed terminal) unwind, so that no process stays behind."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _ended)


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _dispatch(options: argparse.Namespace) -> None:
    match options.command:
        case "targets":
            _targets(options)
        case "data":
            _data(options)
        case "run":
            _work(options, STAGE_NAMES)
        case stage:
            _work(options, (stage,))


def _experiment(options: argparse.Namespace) -> tuple[Config, Path]:
    """Return the config that the command line names, and its own or default run folder.

    Raises:
        HardspikeError: neither an experiment file nor a run folder, or faults in it.
    """
    source: Path = options.source
    if not source.exists():
        raise HardspikeError(f"{source}: not found; allowed is an experiment file or a run folder")
    overrides = getattr(options, "overrides", [])
    if not source.is_dir():
        if not hasattr(options, "overrides"):
            raise HardspikeError(f"{source}: is a file; `hardspike {options.command}` takes a run")
        config = load_config(source, overrides)
        return config, default_run_folder(config)
    config = load_run(source)
    if overrides:
        config = load_config(source / CONFIG_FILE, overrides)
    return config, source


def _work(options: argparse.Namespace, stages: Sequence[str]) -> None:
    config, run = _experiment(options)
    run = getattr(options, "out", None) or run
    reporter = Reporter(quiet=options.quiet or options.json)
    reporter.line(f"{config.name}: {', '.join(stages)} in {run}")
    run_stages(config, run, stages, reporter, options.force)
    last = stages[-1]
    from pipeline.report import ladder_rows, missing_targets, read_report, target_rows

    if last == "report":
        report = read_report(run)
        if options.json:
            _print_json(report)
        else:
            _print_table(f"{config.name}: accuracy, step by step", ladder_rows(report))
            _print_table(f"{config.name}: targets", target_rows(report))
    elif options.json:
        _print_json(read_json(run / last / _RESULTS[last]))
    if "evaluate" in stages:
        missing = missing_targets(read_json(run / "evaluate" / "evaluation.json"))
        if missing:
            again = f"`hardspike run {run}` tries again"
            raise HardspikeError(*(f"{name} {reason}; {again}" for name, reason in missing))


def _targets(options: argparse.Namespace) -> None:
    from hardware.targets import TARGETS, TargetOptions

    found = {name: make(TargetOptions()).availability() for name, make in TARGETS.items()}
    if options.json:
        _print_json(
            [
                {"name": name, "version": here.version, "runs": not here.reason, "why": here.reason}
                for name, here in found.items()
            ]
        )
        return
    rows = [("target", "version", "can run here")]
    rows += [(name, here.version, here.reason or "yes") for name, here in found.items()]
    _print_table("targets", rows)


def _data(options: argparse.Namespace) -> None:
    from pipeline.inspect_data import as_json, inspect_data, rows

    config, run = _experiment(options)
    sheet = options.out or run.parent / f"{config.name}-data.png"
    described = inspect_data(config, sheet, Reporter(options.quiet or options.json))
    if options.json:
        _print_json(as_json(described, sheet))
        return
    _print_table(f"{config.name}: recordings", rows(described))
    print(f"contact sheet: {sheet}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def _print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    header, *body = rows
    table = Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for index, name in enumerate(header):
        last_text = len(header) <= 3 and index == len(header) - 1
        align: Literal["left", "right"] = "right" if index and not last_text else "left"
        table.add_column(name, justify=align, no_wrap=not last_text)
    for row in body:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
