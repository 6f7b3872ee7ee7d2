"""What two texts on the command line name, read as networks: here files of every kind come in."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from export.contract_file import read_fixed_network, read_float_network
from export.errors import HardspikeError
from export.network import LIF, Dense, Network
from export.netx_file import read_netx
from export.nir_graph import read_nir_back
from export.onnx_network import holds, read_onnx_network
from hardware.loihi.target import loihi_file
from pipeline.diff.foreign import (
    OF_RECORDINGS,
    Open,
    Word,
    Words,
    as_options,
    beside_toolkit,
    check_effect,
    open_in,
    words_for,
    words_of_network,
    words_of_run,
)
from pipeline.diff.given import Given, parse_given
from pipeline.diff.subject import FILE_OF, NET, ORACLE, Form, Subject, onnx_target
from pipeline.imported.formats import format_of
from pipeline.imported.reading import import_network
from pipeline.run_dir import CONFIG_FILE, StageFolder

_STAGES = ("deploy", "convert", "train")
_CONTRACT = ".safetensors"


def load_subjects(
    texts: tuple[str, str], of_all: Mapping[str, Any], data: Words
) -> tuple[Subject, Subject]:
    """Return what two texts name, each as `parse_given` takes it.

    `of_all` holds for files of other toolkits, on each side that leaves it open; `data` is what the
    recordings say of them.

    Raises:
        HardspikeError: nothing is there, it is nothing that can be compared, it is damaged, or the
            target is unknown or cannot run it; or an option is missing, or without effect. One
            line.
    """
    givens = [parse_given(text) for text in texts]
    left = [beside_toolkit(_open_in(given), given.said) for given in givens]
    check_effect(list(zip(givens, left, strict=True)), of_all)
    found: dict[int, Subject] = {}
    for at in sorted((0, 1), key=lambda at: left[at] is not None):
        of_file = left[at]
        if of_file is None:
            found[at] = _ours(givens[at])
            continue
        others = _said_beside(givens[at], givens[1 - at], found.get(1 - at))
        words = words_for(givens[at], of_file, of_all, [others[0], data, others[1]])
        found[at] = _foreign(givens[at], words)
    for subject in found.values():
        _check_target(subject)
    return _of_one_shape(found[0], found[1])


def _open_in(given: Given) -> Open | None:
    """Return what a file leaves open; None for what hardspike wrote.

    Raises:
        HardspikeError: nothing is there, or nothing that can be compared.
    """
    path = given.path
    if not path.exists():
        raise HardspikeError(
            f"{path}: not found; allowed is a run or deploy folder, a NIR, netx or ONNX file or "
            "a .safetensors network, each with @target behind it if need be"
        )
    return None if path.is_dir() or path.suffix == _CONTRACT else open_in(path)


def _said_beside(given: Given, beside: Given, other: Subject | None) -> tuple[Words, Words]:
    """Return what the other side says of a file that was imported there, and of the recordings."""
    if other is None or other.foreign:
        said = {name: Word(value, str(beside.path)) for name, value in beside.said.items()}
        return {}, {name: word for name, word in said.items() if name in OF_RECORDINGS}
    return words_of_run(given.path, other.run), words_of_network(other.network, str(beside.path))


def _foreign(given: Given, words: Words) -> Subject:
    """Return the network of another toolkit's file, or in another program's words, as imported."""
    network = import_network(given.path, as_options(words)).network
    return Subject(
        given.text,
        given.path,
        given.path,
        given.target or ORACLE,
        network,
        _run_around(given.path),
        has_scale=isinstance(network.layers[0].neuron, LIF),
        form=format_of(given.path),
        foreign=True,
        words=words,
    )


def _ours(given: Given) -> Subject:
    run = _run_around(given.path)
    if given.path.is_dir():
        return _of_folder(given.text, given.path, given.target or ORACLE, run)
    return _of_file(given.text, given.path, given.target, run)


def _check_target(subject: Subject) -> None:
    if subject.is_float and subject.target != ORACLE:
        raise HardspikeError(
            f"{subject.given}: target: found {subject.target!r} for a float network, allowed "
            "'reference'"
        )


def _of_one_shape(a: Subject, b: Subject) -> tuple[Subject, Subject]:
    """Let a dense network of another toolkit's that takes a vector read the other's (C, H, W)."""
    return _flattening(a, b), _flattening(b, a)


def _flattening(one: Subject, other: Subject) -> Subject:
    network, wanted = one.network, other.network.input_shape
    is_vector = network.input_shape == (math.prod(wanted), 1, 1) != wanted
    if not (one.foreign and is_vector and isinstance(network.layers[0].synapse, Dense)):
        return one
    return replace(one, network=replace(network, input_shape=wanted), flattens=True)


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
    source = folder / FILE_OF[target]
    if target == "loihi" and source.is_file():
        source = loihi_file(folder)
    if not source.is_file():
        raise HardspikeError(
            f"{folder}: is neither a run nor a deploy folder (no {source.name}); for {target} "
            "allowed is a folder with it"
        )
    if source.suffix == ".net":
        return Subject(given, path, source, target, read_netx(source), run, form="netx")
    network, has_scale = _beside(source, folder / NET)
    return Subject(given, path, source, target, network, run, has_scale, "onnx")


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
    form: Form = "contract" if path.suffix == _CONTRACT else format_of(path)
    readers: dict[Form, Callable[[Path], Network[Any]]] = {
        "netx": read_netx,
        "nir": read_nir_back,
        "onnx": read_onnx_network,
        "contract": _read_contract,
    }
    network, is_onnx = readers[form](path), form == "onnx"
    usual = onnx_target(path) if is_onnx else ORACLE
    return Subject(given, path, path, target or usual, network, run, not is_onnx, form)


def _read_contract(path: Path) -> Network[Any]:
    """Read a float or a fixed-point network, whichever its header says."""
    try:
        with safe_open(path, framework="numpy") as file:
            kind = json.loads((file.metadata() or {})["hardspike"])["kind"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HardspikeError(f"{path}: is not a network of hardspike ({error})") from error
    return read_fixed_network(path) if kind == "fixed" else read_float_network(path)
