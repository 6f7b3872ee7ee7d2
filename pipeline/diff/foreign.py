"""Files of other toolkits: what they leave open, and who says it.

What is said behind the path comes first, then what the command line says; then, where the other
side is a run that was imported from this very file, what was said there; then what recordings say
of every network that takes them, by `--data` or by the other side: steps, their length, shape and
largest value of the input. What nobody says, and matters, the import asks for.
"""

from collections.abc import Iterable, Mapping, Sequence
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
from export.imported.toolkits.names import ToolkitName
from export.imported.toolkits.read_as import TOOLKITS, own_keys
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
    if not own_keys(graph):
        found |= {"toolkit", "settings"}
    return frozenset(found)


def _open_in_netx(path: Path) -> Open:
    found = {"readout", "steps", "seconds", "input_max"}
    with open_guarded(path, MOST_BYTES) as file:
        first = fields.word(fields.group(file, "layer/0"), "type")
    return frozenset(found if first == "input" else {*found, "input_shape"})


def beside_toolkit(left: Open | None, said: Mapping[str, Any]) -> Open | None:
    """Return what a file leaves open whose toolkit is `said` behind its path.

    A toolkit's own step, or reset, is not taken from elsewhere; one that is said behind the path
    too, the import holds to it.
    """
    return None if left is None else left - (_closed_by(said.get("toolkit")) - said.keys())


def _closed_by(name: ToolkitName | None) -> Open:
    if name is None:
        return frozenset()
    toolkit = TOOLKITS[name]
    step = set[str]() if toolkit.takes_dt else {"dt"}
    return frozenset(step if toolkit.reset is None else {*step, "reset"})


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
    for name, value in of_all.items():
        if not any(left and name in left and _adds(name, value, given) for given, left in sides):
            each = "; ".join(
                f"{side} ({given.text}) {_leaves(left, given.said)}"
                for side, (given, left) in zip("AB", sides, strict=True)
            )
            raise HardspikeError(f"--{in_words(name)}: found one without effect: {each}")


def _adds(name: str, value: Any, given: Given) -> bool:
    """Whether the command line says something that is not said behind the path."""
    if name != "settings" or name not in given.said:
        return name not in given.said
    return not _names(value) <= _names(given.said[name])


def _names(settings: Iterable[str]) -> set[str]:
    return {one.partition("=")[0] for one in settings}


def _leaves(left: Open | None, said: Mapping[str, Any] | None = None) -> str:
    if left is None:
        return "says all itself"
    names = sorted(map(in_words, (left & OPTIONS.keys()) - (said or {}).keys()))
    return f"leaves open {', '.join(names) or 'nothing more'}"


def words_for(
    given: Given, left: Open, of_all: Mapping[str, Any], others: Sequence[Words]
) -> dict[str, Word]:
    """Return what holds for a file, the first that says it first; `others` come last.

    Settings are taken one by one. What was said of the step and the settings of another toolkit
    does not hold.
    """
    said = [_given(given.said), _given(of_all)]
    sources: list[Words] = [*said, *others]
    named = [_toolkit_of(one) for one in sources if "toolkit" in left]
    toolkit = next((one for one in named if one is not None), None)
    found: dict[str, Word] = {}
    for at, source in enumerate(sources):
        of_another = at >= len(said) and toolkit not in (None, _toolkit_of(source))
        closed = {"dt", "settings", *_closed_by(toolkit)} if of_another else set[str]()
        for name, word in source.items():
            if name not in left - closed or word.value in (None, ()):
                continue
            found[name] = _with_more(found[name], word, name) if name in found else word
    names = dict.fromkeys((*of_all, *given.said, *found))
    return {name: found[name] for name in names if name in found}


def _given(said: Mapping[str, Any]) -> Words:
    return {name: Word(value, "given") for name, value in said.items()}


def _toolkit_of(source: Words) -> ToolkitName | None:
    return source["toolkit"].value if "toolkit" in source else None


def _with_more(first: Word, later: Word, name: str) -> Word:
    """Return the first word, for settings with those that only the later one names."""
    if name != "settings":
        return first
    known = _names(first.value)
    more = tuple(one for one in later.value if one.partition("=")[0] not in known)
    of = first.of if later.of == first.of or not more else f"{first.of} and {later.of}"
    return Word((*first.value, *more), of)


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
