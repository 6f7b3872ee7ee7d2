"""What is compared: a network as a file or folder holds it, and the target that runs it."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from export.contract_file import read_fixed_network, read_float_network
from export.errors import HardspikeError
from export.network import LIF, FixedPointNetwork, Network
from export.netx_file import read_netx, write_netx
from export.nir_graph import read_nir_back
from export.onnx_model import write_sequence, write_step
from export.onnx_network import holds, read_onnx_network
from export.onnx_reader import read_onnx_info
from hardware.loihi.target import loihi_file
from hardware.targets import TARGETS
from pipeline.run_dir import CONFIG_FILE, StageFolder

NET, SEQUENCE, STEP = "model.net", "model.sequence.onnx", "model.step.onnx"
_FILE_OF = {
    "reference": NET,
    "loihi": NET,
    "onnxruntime": SEQUENCE,
    "onnxruntime-step": STEP,
}
_WRITERS: dict[str, Callable[[FixedPointNetwork, Path], None]] = {
    NET: write_netx,
    SEQUENCE: write_sequence,
    STEP: write_step,
}
_ORACLE = "reference"
_STAGES = ("deploy", "convert", "train")


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and what runs it.

    `given` is what the user wrote, `path` the file or folder, `source` the file that `network` was
    read from, `run` the run folder around it. `has_scale` says whether the layers' scales are the
    file's own: ONNX has no field for them.
    """

    given: str
    path: Path
    source: Path
    target: str
    network: Network[Any]
    run: Path | None = None
    has_scale: bool = True

    @property
    def is_float(self) -> bool:
        """Whether the network is the float one."""
        return isinstance(self.network.layers[0].neuron, LIF)

    @property
    def kind(self) -> str:
        """`float` or `fixed point`."""
        return "float" if self.is_float else "fixed point"

    @contextlib.contextmanager
    def artefacts(self) -> Iterator[Path]:
        """Yield a folder with the file that the target runs.

        The subject's own file is taken where it is of the target's kind; otherwise the file is
        written from the network.

        Raises:
            HardspikeError: the network cannot be written for the target.
        """
        name = _FILE_OF[self.target]
        if self.path.is_dir():
            yield self.source.parent
            return
        with tempfile.TemporaryDirectory(prefix="hardspike-diff-") as folder:
            if self.runs_its_own_file:
                shutil.copyfile(self.source, Path(folder) / name)
            else:
                _WRITERS[name](self.network, Path(folder) / name)
            yield Path(folder)

    @property
    def runs_in_memory(self) -> bool:
        """Whether the reference runs the network as it was read: its own file is netx alone."""
        return self.target == _ORACLE and (self.is_float or self.source.suffix != ".net")

    @property
    def runs_its_own_file(self) -> bool:
        """Whether the target runs the file itself, not one that was written from it."""
        if self.path.is_dir() or self.runs_in_memory:
            return True
        if self.source.suffix == ".onnx":
            return _form_target(self.source) == self.target
        return self.source.suffix == ".net" and _FILE_OF[self.target] == NET


def load_subject(given: str) -> Subject:
    """Return what `PATH` or `PATH@target` names.

    Raises:
        HardspikeError: nothing is there, it is nothing that can be compared, it is damaged, or the
            target is unknown or cannot run it. One line.
    """
    path, target = _split(given)
    if not path.exists():
        raise HardspikeError(
            f"{path}: not found; allowed is a run or deploy folder, a .net, .nir or .onnx file or "
            "a .safetensors network, each with @target behind it if need be"
        )
    run = _run_around(path)
    if path.is_dir():
        subject = _of_folder(given, path, target or _ORACLE, run)
    else:
        subject = _of_file(given, path, target, run)
    if subject.is_float and subject.target != _ORACLE:
        raise HardspikeError(
            f"{given}: target: found {subject.target!r} for a float network, allowed 'reference'"
        )
    return subject


def _split(given: str) -> tuple[Path, str | None]:
    """Part `PATH@target`; a path that exists as it stands is no target's."""
    if Path(given).exists() or "@" not in given:
        return Path(given), None
    path, _, target = given.rpartition("@")
    if target not in TARGETS:
        raise HardspikeError(
            f"{given}: target: found {target!r}, allowed {', '.join(TARGETS)} behind the '@'"
        )
    return Path(path), target


def _run_around(path: Path) -> Path | None:
    """Return the run folder that `path` is, or is a stage or a stage's file of."""
    place = path.resolve()
    if place.is_dir() and (place / CONFIG_FILE).is_file():
        return path
    stage = place if place.is_dir() else place.parent
    if stage.name in _STAGES and (stage.parent / CONFIG_FILE).is_file():
        return stage.parent
    return None


def _of_folder(given: str, path: Path, target: str, run: Path | None) -> Subject:
    folder = path
    if run is path:
        StageFolder(path, "deploy").verify()
        folder = path / "deploy"
    source = folder / _FILE_OF[target]
    if target == "loihi" and source.is_file():
        source = loihi_file(folder)
    if not source.is_file():
        raise HardspikeError(
            f"{folder}: is neither a run nor a deploy folder (no {source.name}); for {target} "
            "allowed is a folder with it"
        )
    if source.suffix != ".onnx":
        return Subject(given, path, source, target, _read(source), run)
    network, has_scale = _beside(source, folder / NET)
    return Subject(given, path, source, target, network, run, has_scale)


def _beside(onnx: Path, net: Path) -> tuple[Network[Any], bool]:
    """Return an ONNX file's network, and whether its scales are known.

    Where the netx file beside it holds the same network, that one has them.
    """
    if net.is_file():
        network = read_netx(net)
        if holds(onnx, network):
            return network, True
    return read_onnx_network(onnx), False


def _of_file(given: str, path: Path, target: str | None, run: Path | None) -> Subject:
    network, is_onnx = _read(path), path.suffix == ".onnx"
    usual = _form_target(path) if is_onnx else _ORACLE
    return Subject(given, path, path, target or usual, network, run, not is_onnx)


def _form_target(path: Path) -> str:
    """Return the target that runs an ONNX file."""
    step = read_onnx_info(path).metadata.get("form") == "step"
    return "onnxruntime-step" if step else "onnxruntime"


def _read(path: Path) -> Network[Any]:
    """Read a network by the kind of its file: here others' formats come in."""
    readers: dict[str, Callable[[Path], Network[Any]]] = {
        ".net": read_netx,
        ".nir": read_nir_back,
        ".onnx": read_onnx_network,
        ".safetensors": _read_contract,
    }
    if path.suffix not in readers:
        raise HardspikeError(
            f"{path}: is no network that can be compared; allowed are files of "
            f"{', '.join(readers)}, run and deploy folders"
        )
    return readers[path.suffix](path)


def _read_contract(path: Path) -> Network[Any]:
    """Read a float or a fixed-point network, whichever its header says."""
    try:
        with safe_open(path, framework="numpy") as file:
            kind = json.loads((file.metadata() or {})["hardspike"])["kind"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HardspikeError(f"{path}: is not a network of hardspike ({error})") from error
    return read_fixed_network(path) if kind == "fixed" else read_float_network(path)
