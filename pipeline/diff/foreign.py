"""Files of other toolkits: what they leave open, and who says it.

What is said behind the path comes first, then what the command line says; then, where the other
side is a run that was imported from this very file, what was said there; then what recordings say
of every network that takes them, by `--data` or by the other side: steps, their length, shape and
largest value of the input. What nobody says, and matters, the import asks for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import hdf5_fields as fields
from export.errors import HardspikeError
from export.files import sha256
from export.hdf5_guard import open_guarded
from export.imported.graph import Graph, Input, Neuron
from export.imported.nir_reader import MOST_BYTES, read_nir_graph
from export.imported.reading import Options
from export.metadata import NIR_SCHEMA
from export.network import Network
from pipeline.config import Imported
from pipeline.diff.given import OPTIONS, Given, in_words
from pipeline.imported.formats import format_of, is_ours
from pipeline.imported.reading import options_of
from pipeline.stages import load_run

OF_RECORDINGS = ("steps", "seconds", "input_shape", "input_max")
"""Options that follow from the recordings, whatever the network."""
Open = frozenset[str]


@dataclass(frozen=True)
class Word:
    """A value of an option, and who said so: `given`, or the file, folder or side it is of."""

    value: Any
    of: str


Words = Mapping[str, Word]


def open_in(path: Path) -> Open | None:
    """Return the options that a file leaves open; None where hardspike wrote it, and it says all.

    Raises:
        HardspikeError: the file is of no format that is imported, or cannot be read.
    """
    match format_of(path):
        case "onnx":
            return None
        case "nir":
            graph = read_nir_graph(path)
            return None if graph.metadata.get("schema") == NIR_SCHEMA else _open_in_nir(graph)
        case "netx":
            return None if is_ours(path) else _open_in_netx(path)


def _open_in_nir(graph: Graph) -> Open:
    nodes = graph.nodes.values()
    found = {"dt", "readout", "steps", "seconds", "input_max"} - graph.metadata.keys()
    thresholds = [node.v_threshold for node in nodes if isinstance(node, Neuron)]
    if any(values is not None and not np.isposinf(values).all() for values in thresholds):
        found |= {"reset", "refractory"} - graph.metadata.keys()
    if any(isinstance(node, Input) and node.shape is None for node in nodes):
        found.add("input_shape")
    return frozenset(found)


def _open_in_netx(path: Path) -> Open:
    found = {"readout", "steps", "seconds", "input_max"}
    with open_guarded(path, MOST_BYTES) as file:
        first = fields.word(fields.group(file, "layer/0"), "type")
    return frozenset(found if first == "input" else {*found, "input_shape"})


def check_effect(sides: Sequence[tuple[Given, Open | None]], of_all: Mapping[str, Any]) -> None:
    """Refuse what is said of a file that does not leave it open.

    Raises:
        HardspikeError: an option behind a path that has no use for it, or one of the command line
            that no side takes. One line.
    """
    for given, left in sides:
        for name in given.said:
            if left is None or name not in left:
                raise HardspikeError(
                    f"{given.text}: @{in_words(name)}: found one, and the file {_leaves(left)}"
                )
    for name in of_all:
        if not any(left and name in left and name not in given.said for given, left in sides):
            each = "; ".join(
                f"{side} ({given.text}) {_leaves(left, given.said)}"
                for side, (given, left) in zip("AB", sides, strict=True)
            )
            raise HardspikeError(f"--{in_words(name)}: found one without effect: {each}")


def _leaves(left: Open | None, said: Mapping[str, Any] | None = None) -> str:
    if left is None:
        return "says all itself"
    names = sorted((left & OPTIONS.keys()) - (said or {}).keys())
    return f"leaves open {', '.join(map(in_words, names)) or 'nothing more'}"


def words_for(
    given: Given, left: Open, of_all: Mapping[str, Any], others: Sequence[Words]
) -> dict[str, Word]:
    """Return what holds for a file, the first that says it first; `others` come last."""
    said = {name: Word(value, "given") for name, value in {**of_all, **given.said}.items()}
    found: dict[str, Word] = {}
    for source in (said, *others):
        for name, word in source.items():
            if name in left and word.value is not None:
                found.setdefault(name, word)
    return found


def words_of_run(path: Path, run: Path | None) -> Words:
    """Return what was said of a file as it was imported into `run`; nothing if it was not."""
    config = None if run is None else load_run(run)
    if config is None or not isinstance(config.train, Imported):
        return {}
    if config.train.sha256 != sha256(path):
        return {}
    return _words(options_of(config.data, config.train), str(run))


def words_of_recordings(options: Options, source: str) -> Words:
    """Return what recordings say, as options have it."""
    return {name: word for name, word in _words(options, source).items() if name in OF_RECORDINGS}


def words_of_network(network: Network[Any], source: str) -> Words:
    """Return what a network of hardspike's says of its recordings."""
    of_network = {"seconds": network.dt} | {
        name: getattr(network, name) for name in OF_RECORDINGS if name != "seconds"
    }
    return {name: Word(value, source) for name, value in of_network.items()}


def _words(options: Options, source: str) -> dict[str, Word]:
    return {name: Word(value, source) for name, value in vars(options).items()}


def as_options(words: Words) -> Options:
    """Return the options that the import takes."""
    return Options(**{name: word.value for name, word in words.items()})
