"""What names a side of a comparison: a path, and behind it any of `@TARGET` and `@OPTION=VALUE`.

One sign stands for both, as `?`, `&` and `,` would not do: shells take the first two for their own,
and C,H,W has commas. A path that exists as it is written is a path, whatever signs are in it.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from export.errors import HardspikeError
from export.imported.toolkits.names import TOOLKIT_NAMES
from export.network import READOUTS, RESETS
from pipeline.config import TargetName
from pipeline.imported.import_command import (
    positive,
    resting_steps,
    shape_CHW,
    step_count,
)

TARGETS: tuple[str, ...] = get_args(TargetName)


def _one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"found {text!r}, allowed {', '.join(allowed)}")
        return text

    return parse


OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "dt": positive,
    "reset": _one_of(tuple(RESETS)),
    "readout": _one_of(tuple(READOUTS)),
    "steps": step_count,
    "input_shape": shape_CHW,
    "refractory": resting_steps,
    "toolkit": _one_of(TOOLKIT_NAMES),
    "settings": lambda text: (text,),
}
"""What may be said of a file of another toolkit, and how it is read from text."""
_WORDS = {"toolkit": "from", "settings": "setting"}
_FIELDS = {word: name for name, word in _WORDS.items()}


@dataclass(frozen=True)
class Given:
    """A side as the user wrote it: `text`, parted. `said` has fields of `OPTIONS`."""

    text: str
    path: Path
    target: str | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


def parse_given(text: str) -> Given:
    """Part `PATH@TARGET@OPTION=VALUE…`, in any order behind the path; `@setting=` again and again.

    Raises:
        HardspikeError: what stands behind an '@' is neither a target nor an option, or stands there
            twice.
    """
    path, target, said = text, None, dict[str, Any]()
    while "@" in path and not Path(path).exists():
        path, _, part = path.rpartition("@")
        name, equals, value = part.partition("=")
        name = _FIELDS.get(name, name.replace("-", "_"))
        if equals and name == "settings":  # from the last to the first
            said[name] = _value(text, name, value) + said.get(name, ())
        elif equals and name in OPTIONS and name not in said:
            said[name] = _value(text, name, value)
        elif part in TARGETS and target is None:
            target = part
        elif part in TARGETS or name in said:
            raise HardspikeError(f"{text}: found two of '@{in_words(name)}', allowed one")
        else:
            options = ", ".join(f"{in_words(key)}=" for key in OPTIONS)
            raise HardspikeError(
                f"{text}: target: found {part!r}, allowed {', '.join(TARGETS)} behind the '@', or "
                f"an option of a file of another toolkit ({options})"
            )
    return Given(text, Path(path), target, said)


def _value(text: str, name: str, value: str) -> Any:
    try:
        return OPTIONS[name](value)
    except argparse.ArgumentTypeError as error:
        raise HardspikeError(f"{text}: @{in_words(name)}: {error}") from error


def in_words(name: str) -> str:
    """Return an option as the command line has it."""
    return _WORDS.get(name, name.replace("_", "-"))
