"""The command line: parse, dispatch, print. Bad input is one line and exit status 2."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from export.errors import HardspikeError
from export.files import read_json
from pipeline import __version__, compare_command, sweep_command
from pipeline.config import Config
from pipeline.config_file import default_run_folder, load_config
from pipeline.diff import command as diff_command
from pipeline.energy import command as energy_command
from pipeline.exits import guarded
from pipeline.imported import check_command, import_command
from pipeline.latency import command as latency_command
from pipeline.open_page import open_page
from pipeline.printing import print_json, print_table
from pipeline.progress import Reporter
from pipeline.robustness import command as robustness_command
from pipeline.run_dir import CONFIG_FILE
from pipeline.stages import STAGE_NAMES, load_run, require_targets, run_stages
from pipeline.theory import command as theory_command

if TYPE_CHECKING:
    from pipeline.team import Team

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
    "import": (
        "make a run of a network that another toolkit wrote (NIR)",
        "hardspike import cnn.nir --dt 1 --reset zero --data configs/nmnist-1k.yaml -o runs/cnn",
    ),
    "check": (
        "say node by node what becomes of such a network",
        "hardspike check cnn.nir --dt 1 --reset zero --target loihi",
    ),
    "train": ("train alone", "hardspike train configs/quickstart.yaml"),
    "convert": ("convert a trained run to fixed point", "hardspike convert runs/quickstart"),
    "deploy": ("write NIR, ONNX and netx files", "hardspike deploy runs/quickstart"),
    "evaluate": (
        "run the deployed files on every target",
        "hardspike evaluate runs/quickstart --force",
    ),
    "report": ("gather figures, page and pictures", "hardspike report runs/quickstart --open"),
    "theory": (
        "hold the theory's bounds and assumptions against a trained run",
        "hardspike theory runs/quickstart --samples 64",
    ),
    "latency": (
        "time a run's deployed files on this processor, beside their synapse products alone",
        "hardspike latency runs/quickstart --threads 1,2",
    ),
    "energy": (
        "model what the deployed network would cost on Loihi 1: cores, energy, time",
        "hardspike energy runs/quickstart --recordings 20",
    ),
    "robustness": (
        "run a deployed network under corrupted recordings and faults of the chip",
        "hardspike robustness runs/quickstart --limit 200",
    ),
    "diff": (
        "show where the spikes of two files, runs or targets part, and why; exit status 1 if so",
        "hardspike diff runs/quickstart@reference runs/quickstart@loihi",
    ),
    "targets": ("list targets and whether they can run here", "hardspike targets"),
    "data": (
        "show an experiment's recordings: counts, classes, events, contact sheet",
        "hardspike data configs/quickstart.yaml --out sheet.png",
    ),
    "sweep": (
        "run every combination of some values, each in a run folder of its own",
        "hardspike sweep configs/quickstart.yaml --set train.rho=0,0.05,0.1 --set seed=0,1,2",
    ),
    "compare": (
        "show runs side by side: a table, and accuracy against training cost",
        "hardspike compare runs/quickstart-sweep --over seed",
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
        match name:
            case "targets":
                pass
            case "import":
                import_command.add_arguments(command)
            case "check":
                check_command.add_arguments(command)
            case "sweep":
                sweep_command.add_arguments(command)
            case "compare":
                compare_command.add_arguments(command)
            case "theory":
                theory_command.add_arguments(command)
            case "latency":
                latency_command.add_arguments(command)
            case "energy":
                energy_command.add_arguments(command)
            case "robustness":
                robustness_command.add_arguments(command)
            case "diff":
                diff_command.add_arguments(command)
            case _:
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
    if name == "report":
        command.add_argument("--open", action="store_true", help="open report.html in the browser")
    if name != "data":
        command.add_argument("--force", action="store_true", help="do it again though it is done")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""

    def work(team: "Team | None" = None) -> int | None:
        return _dispatch(_parser().parse_args(arguments), team)

    if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        return guarded(work)
    from pipeline.distributed import in_ranks

    return in_ranks(work)


def _dispatch(options: argparse.Namespace, team: "Team | None") -> int | None:
    """Carry out the command; return its exit status where that is not simply 0."""
    if team is not None and options.command != "train":
        raise HardspikeError(
            f"hardspike {options.command}: found under torchrun with {team.ranks} ranks; allowed "
            "there is `hardspike train`, all else runs in one process"
        )
    match options.command:
        case "targets":
            _targets(options)
        case "data":
            _data(options)
        case "import":
            import_command.carry_out(options)
        case "check":
            check_command.carry_out(options)
        case "sweep":
            sweep_command.carry_out(options)
        case "compare":
            compare_command.carry_out(options)
        case "theory":
            theory_command.carry_out(options)
        case "latency":
            latency_command.carry_out(options)
        case "energy":
            energy_command.carry_out(options)
        case "robustness":
            robustness_command.carry_out(options)
        case "diff":
            return diff_command.carry_out(options)
        case "run":
            _work(options, STAGE_NAMES)
        case stage:
            _work(options, (stage,), team)
    return None


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


def _work(options: argparse.Namespace, stages: Sequence[str], team: "Team | None" = None) -> None:
    config, run = _experiment(options)
    if team is not None:
        from pipeline.distributed import check_distributed

        check_distributed(config, team)
    run = getattr(options, "out", None) or run
    reporter = Reporter(quiet=options.quiet or options.json)
    reporter.line(f"{config.name}: {', '.join(stages)} in {run}")
    run_stages(config, run, stages, reporter, options.force, team=team)
    last = stages[-1]
    from pipeline.report import HTML, read_report
    from pipeline.report_markdown import (
        approximated_targets,
        corruption_rows,
        ladder_rows,
        target_rows,
    )

    if last == "report":
        report = read_report(run)
        if getattr(options, "open", False):
            open_page(run / last / HTML, Reporter(options.quiet))
        if options.json:
            print_json(report)
        else:
            print_table(f"{config.name}: accuracy, step by step", ladder_rows(report))
            print_table(f"{config.name}: targets", target_rows(report))
            for name, entry in approximated_targets(report):
                print(f"{name} {entry['reason']}.")
            if report["corruptions"]:
                print_table(f"{config.name}: corrupted recordings", corruption_rows(report))
            print(report["verdict"]["sentence"])
    elif options.json:
        print_json(read_json(run / last / _RESULTS[last]))
    elif last == "train":
        from pipeline.cost_page import cost_rows

        cost = cost_rows(read_json(run / last / _RESULTS[last]))
        print_table(f"{config.name}: training", list(zip(*cost, strict=True)))
    if "evaluate" in stages:
        require_targets(run)


def _targets(options: argparse.Namespace) -> None:
    from hardware.targets import TARGETS, TargetOptions

    found = {name: make(TargetOptions()).availability() for name, make in TARGETS.items()}
    if options.json:
        print_json(
            [
                {"name": name, "version": here.version, "runs": not here.reason, "why": here.reason}
                for name, here in found.items()
            ]
        )
        return
    rows = [("target", "version", "can run here")]
    rows += [(name, here.version, here.reason or "yes") for name, here in found.items()]
    print_table("targets", rows)


def _data(options: argparse.Namespace) -> None:
    from pipeline.inspect_data import as_json, inspect_data, rows

    config, run = _experiment(options)
    sheet = options.out or run.parent / f"{config.name}-data.png"
    described = inspect_data(config, sheet, Reporter(options.quiet or options.json))
    if options.json:
        print_json(as_json(described, sheet))
        return
    print_table(f"{config.name}: recordings", rows(described))
    print(f"contact sheet: {sheet}")


if __name__ == "__main__":
    sys.exit(main())
