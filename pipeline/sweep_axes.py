"""The axes of a sweep: `--set key=value,value` and the combinations they span.

A combination's name is its folder's: the keys that vary in alphabetical order, so that the order of
the command line does not matter, and a short hash where the readable part alone could mean two.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.errors import HardspikeError
from pipeline.config_file import override_value, split_override
from pipeline.run_dir import digest

MAX_COMBINATIONS = 9999
_READABLE = 80
_HASH_DIGITS = 8
_OPENING, _CLOSING = "[{", "]}"
_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]")


@dataclass(frozen=True)
class Axis:
    """A dotted key and the texts of its values; one value alone is an override for every run."""

    key: str
    texts: tuple[str, ...]

    @property
    def overrides(self) -> tuple[str, ...]:
        """`key=value` for each value."""
        return tuple(f"{self.key}={text}" for text in self.texts)


def parse_axes(arguments: Sequence[str]) -> list[Axis]:
    """Read `key=value,value…` arguments, each split at its top-level commas.

    Raises:
        HardspikeError: an argument is no override, has an empty value, one that is not YAML or one
            twice, sets a key a second time, or there are too many combinations; one line a fault.
    """
    faults: list[str] = []
    axes: list[Axis] = []
    for argument in arguments:
        try:
            axis = _axis(argument)
        except HardspikeError as error:
            faults.append(str(error))
            continue
        if any(axis.key == other.key for other in axes):
            faults.append(f"--set {argument}: {axis.key} is set twice; put its values in one --set")
        axes.append(axis)
    count = 1
    for axis in axes:
        count *= len(axis.texts)
    if count > MAX_COMBINATIONS:
        faults.append(f"--set: found {count:,} combinations, allowed are {MAX_COMBINATIONS:,}")
    if faults:
        raise HardspikeError(*faults)
    return axes


def _axis(argument: str) -> Axis:
    key, text = split_override(argument)
    texts = split_values(text)
    if not all(texts):
        raise HardspikeError(f"--set {argument}: value {texts.index('') + 1} is empty")
    twice = next((one for one in texts if texts.count(one) > 1), None)
    if twice is not None:
        raise HardspikeError(
            f"--set {argument}: found {twice} {texts.count(twice)} times; a value is allowed once"
        )
    axis = Axis(key, tuple(texts))
    for override in axis.overrides:
        override_value(override)
    return axis


def split_values(text: str) -> list[str]:
    """Split YAML text at the commas outside of brackets, braces and quotes.

    As in YAML, a quote opens only where a value may begin: `it's` is a plain word.
    """
    parts, start, depth = [], 0, 0
    for index, character in _outside_quotes(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _outside_quotes(text: str) -> Iterator[tuple[int, str]]:
    """Yield index and character of all that lies outside of quoted scalars."""
    before, index = ",", 0
    while index < len(text):
        character = text[index]
        if character in "'\"" and before in "[{,:":
            index = _end_of_quoted(text, index)
            before = character
            continue
        yield index, character
        before = before if character.isspace() else character
        index += 1


def _end_of_quoted(text: str, start: int) -> int:
    """Return the index after the scalar quoted from `start`; the text's end if it is never closed.

    Inside, `''` is a quote between single quotes, and a backslash escapes between double ones.
    """
    quote, index = text[start], start + 1
    while index < len(text):
        if text[index] == "\\" and quote == '"':
            index += 2
        elif text[index] != quote:
            index += 1
        elif quote == "'" and text[index + 1 : index + 2] == "'":
            index += 2
        else:
            return index + 1
    return len(text)


def combinations(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """Return the overrides of every combination; the last axis varies fastest."""
    return list(itertools.product(*(axis.overrides for axis in axes)))


def settings_of(overrides: Sequence[str]) -> dict[str, Any]:
    """Return key → value, as JSON has it, of one combination."""
    pairs = {split_override(override)[0]: override_value(override) for override in overrides}
    plain: dict[str, Any] = json.loads(json.dumps(pairs, default=str))
    return plain


def varying(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings without those that all share; one combination alone keeps its own."""
    if len(settings) == 1:
        return [dict(settings[0])]
    keys = [key for key in settings[0] if len({digest(entry[key]) for entry in settings}) > 1]
    return [{key: entry[key] for key in keys} for entry in settings]


def name_of(settings: Mapping[str, Any]) -> str:
    """Return a file name for one combination, e.g. `seed=1,train.rho=0.05`.

    It is readable, at most 89 characters long, and different for different settings.
    """
    exact = ",".join(f"{key}={_exact(settings[key])}" for key in sorted(settings)) or "base"
    readable = ",".join(f"{key}={_readable(settings[key])}" for key in sorted(settings))
    readable = _UNSAFE.sub("_", readable or "base").lstrip(".")
    if readable == exact and len(readable) <= _READABLE:
        return readable
    return f"{readable[:_READABLE]}-{digest(dict(settings))[:_HASH_DIGITS]}"


def _exact(value: Any) -> str:
    """Return the text that stands for this value and no other, if it has one without quotes."""
    if isinstance(value, str) and not _is_json(value) and not set(value) & set(",="):
        return value
    return json.dumps(value, ensure_ascii=False)


def _readable(value: Any) -> str:
    if isinstance(value, Mapping):
        return "+".join(f"{key}-{_readable(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return "+".join(map(_readable, value))
    return value if isinstance(value, str) else json.dumps(value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
