"""`hardspike import`: a run folder for a network from elsewhere."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from export.errors import HardspikeError
from export.files import read_json, sha256
from export.imported.toolkits.names import TOOLKIT_NAMES
from export.network import READOUTS, RESETS
from export.neurons import LONGEST_REFRACTORY
from hardware.loihi.approximate import Approximation
from pipeline.config import Config
from pipeline.config_file import config_tree, parse_config, read_tree
from pipeline.printing import print_json
from pipeline.progress import Reporter
from pipeline.stages import run_stages

if TYPE_CHECKING:
    from export.imported.reading import Options
    from export.network import Network

_SOURCE = "import"
_LAVA = "loihi"
"""The target whose neurons reset to zero, and neither rest nor filter a bias."""
_OWN_KEYS = ("name", "seed", "data", "convert", "evaluate")
"""What an experiment file gives an imported network: not the layers and the training of another."""


def add_file_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the file, and what a user may have to say of it."""
    command.add_argument("file", metavar="FILE", type=Path, help="NIR, netx or ONNX file")
    add_options(command)
    command.add_argument(
        "--approximate",
        action="append",
        choices=get_args(Approximation),
        default=[],
        help="what loihi may have approximated that Lava's neuron cannot do: a subtractive reset; "
        "how far it is from the network is measured",
    )


def add_options(command: argparse._ActionsContainer) -> None:
    """Declare what a user may have to say of a file."""
    command.add_argument(
        "--from",
        choices=TOOLKIT_NAMES,
        dest="toolkit",
        help="toolkit that wrote it: says the step, and what its neurons do otherwise than NIR",
    )
    command.add_argument(
        "--setting",
        action="append",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="argument of that toolkit's neurons that its files do not hold, as norm_input=False "
        "of sinabs; may be given again",
    )
    command.add_argument(
        "--dt",
        type=positive,
        help="length of a step in the file's unit of time: seconds in NIR, 1 where neurons count "
        "steps; where the file does not say",
    )
    command.add_argument(
        "--reset", choices=RESETS, help="what a spike does to the membrane; where it does not say"
    )
    command.add_argument("--readout", choices=READOUTS, help="how the last layer is read")
    command.add_argument("--steps", type=step_count, metavar="T", help="steps of a recording")
    command.add_argument(
        "--refractory",
        type=resting_steps,
        metavar="STEPS",
        help="steps behind a spike in which the membrane is held at its reset; NIR has no field "
        "for them",
    )
    command.add_argument(
        "--input-shape", type=shape_CHW, metavar="C,H,W", help="where the file does not say"
    )


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike import`."""
    add_file_arguments(command)
    command.add_argument(
        "--data",
        type=Path,
        metavar="CONFIG",
        help="experiment file whose recordings, conversion and evaluation are taken",
    )
    command.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="run folder")
    command.add_argument("--force", action="store_true", help="do it again though it is done")


def options_of(arguments: argparse.Namespace) -> "Options":
    """Return what the command line says of the file."""
    from export.imported.reading import Options

    return Options(
        arguments.dt,
        arguments.reset,
        arguments.readout,
        arguments.steps,
        arguments.input_shape,
        refractory=arguments.refractory,
        toolkit=arguments.toolkit,
        settings=tuple(arguments.settings),
    )


def carry_out(arguments: argparse.Namespace) -> None:
    """Import a file into a run folder, whose next stage is convert.

    Raises:
        HardspikeError: faults in the file, the arguments or the experiment file.
    """
    reporter = Reporter(arguments.quiet or arguments.json)
    config = _config(arguments)
    run: Path = arguments.out
    run_stages(config, run, ("train",), reporter, arguments.force)
    found = read_json(run / "train" / "manifest.json")
    if arguments.json:
        print_json({"run": str(run), "config": config_tree(config), "outputs": found["outputs"]})
        return
    next_stage = f"`hardspike run {run}`" if arguments.data else f"`hardspike convert {run}`"
    reporter.line(f"{config.name}: imported into {run}; {next_stage} goes on")


def _config(arguments: argparse.Namespace) -> Config:
    """Return the config of the run."""
    from pipeline.imported.formats import format_of

    format_of(arguments.file)  # before a digest is made of what may have no end
    file: Path = arguments.file.resolve()
    tree: dict[str, Any] = {
        "train": {
            "method": "imported",
            "file": str(file),
            "sha256": sha256(file),
            "dt": arguments.dt,
            "reset": arguments.reset,
            "readout": arguments.readout,
            "input_shape": arguments.input_shape,
            "refractory": arguments.refractory,
            "toolkit": arguments.toolkit,
            "settings": arguments.settings,
        }
    }
    from pipeline.imported.reading import import_network

    if arguments.data is not None:
        if not arguments.data.exists():
            raise HardspikeError(
                f"--data {arguments.data}: not found; allowed is an experiment file"
            )
        given = read_tree(arguments.data)
        tree |= {key: given[key] for key in _OWN_KEYS if key in given}
        _ask_for(tree, arguments)
        steps = parse_config(tree, str(arguments.data)).data.binning.steps
        if arguments.steps not in (None, steps):
            raise HardspikeError(
                f"--steps: found {arguments.steps}, and {arguments.data} bins recordings into "
                f"{steps} steps; allowed are equal ones"
            )
        return _targets_that_run(tree, arguments)
    network = import_network(arguments.file, options_of(arguments)).network
    tree |= {"name": _name(file), "data": _no_recordings(network.steps, network.dt)}
    _ask_for(tree, arguments)
    return _with_an_effect(parse_config(tree, str(arguments.file)), network)


def _ask_for(tree: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Put what the command line lets be approximated into the config."""
    if arguments.approximate:
        wanted = list(dict.fromkeys(arguments.approximate))
        tree["convert"] = {**tree.get("convert", {}), "approximate": wanted}


def _with_an_effect(config: Config, network: "Network[Any]") -> Config:
    """Return the config; refuse an approximation of what the network does not have."""
    if config.convert.approximate and all(layer.neuron.reset == "zero" for layer in network.layers):
        raise HardspikeError(
            "--approximate reset: found no layer with a subtractive reset; allowed is no such "
            "request"
        )
    return config


def _targets_that_run(tree: dict[str, Any], arguments: argparse.Namespace) -> Config:
    """Return the config; without targets of the user's own, those that have its neurons."""
    from hardware.loihi.limits import not_lavas
    from pipeline.imported.reading import imported_network

    config = parse_config(tree, str(arguments.data))
    network = imported_network(config).network
    if _with_an_effect(config, network).convert.approximate:
        return config
    if "targets" in tree.get("evaluate", {}) or not any(map(not_lavas, network.layers)):
        return config
    targets = [name for name in config.evaluate.targets if name != _LAVA]
    tree["evaluate"] = {**tree.get("evaluate", {}), "targets": targets}
    return parse_config(tree, str(arguments.data))


def _name(file: Path) -> str:
    """Return a run's name from a file's."""
    kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in file.stem)
    return kept.strip("-") or _SOURCE


def _no_recordings(steps: int, dt: float) -> dict[str, Any]:
    binning = {"steps": steps, "duration_ms": steps * dt * 1000}
    return {"source": {"kind": "none"}, "binning": binning}


def positive(text: str) -> float:
    """Return a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, allowed a number above 0")
    return value


def step_count(text: str) -> int:
    """Return a number of steps."""
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"found {text}, allowed 1 to 1000000")
    return int(text)


def resting_steps(text: str) -> int:
    """Return the steps of a refractory period."""
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_REFRACTORY:
        raise argparse.ArgumentTypeError(f"found {text}, allowed 1 to {LONGEST_REFRACTORY}")
    return int(text)


def shape_CHW(text: str) -> tuple[int, int, int]:
    """Return (C, H, W)."""
    sizes = text.split(",")
    if len(sizes) != 3 or not all(size.isdecimal() and 1 <= int(size) <= 65536 for size in sizes):
        raise argparse.ArgumentTypeError(f"found {text}, allowed C,H,W, three sizes from 1")
    channels, height, width = map(int, sizes)
    return channels, height, width
