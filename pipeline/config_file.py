"""Reading experiment files: YAML in, a checked `Config` out, every fault in one line of words."""

import copy
import json
import os
import types
import typing
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from export.errors import HardspikeError
from pipeline.config import Config

ModelT = typing.TypeVar("ModelT", bound=BaseModel)
TAGS = ("kind", "type", "method")
"""Keys that say which model a section is of."""


def load_config(path: Path, overrides: typing.Sequence[str] = ()) -> Config:
    """Read an experiment file and apply `overrides`, each `dotted.path=value`.

    Raises:
        HardspikeError: the file cannot be read or has faults; one line a fault with the file, the
            dotted path, what was found and what is allowed.
    """
    return overridden(read_tree(path), overrides, str(path))


def overridden(tree: dict[str, Any], overrides: typing.Sequence[str], source: str) -> Config:
    """Apply `overrides` to a copy of a tree from `read_tree` and check it.

    Raises:
        HardspikeError: all faults, one line each.
    """
    tree = copy.deepcopy(tree)
    for override in overrides:
        _apply(tree, override)
    return parse_config(tree, source, overrides)


def parse_config(tree: Any, source: str, overrides: typing.Sequence[str] = ()) -> Config:
    """Check a tree of plain values against the models.

    Every fault begins with `source`, or with the override that set the faulty key.

    Raises:
        HardspikeError: all faults, one line each.
    """
    return parse_model(Config, tree, source, lambda path: _origin(path, source, overrides))


def parse_model(
    root: type[ModelT],
    tree: Any,
    source: str,
    origin: Callable[[str], str] | None = None,
) -> ModelT:
    """Check a tree of plain values against the model `root`.

    A fault begins with `source`, or with what `origin` returns for the dotted path of its key.

    Raises:
        HardspikeError: all faults, one line each.
    """
    try:
        text = json.dumps(tree, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise HardspikeError(f"{source}: is not a tree of text keys ({error})") from error
    try:
        return root.model_validate_json(text)
    except ValidationError as error:
        lines = [_fault(item, root) for item in error.errors()]
    raise HardspikeError(
        *(f"{origin(path) if origin else source}: {path}: {text}" for path, text in lines)
    )


def _origin(path: str, source: str, overrides: typing.Sequence[str]) -> str:
    for override in reversed(overrides):
        key = override.partition("=")[0].strip()
        if path == key or path.startswith(f"{key}."):
            return f"--set {override}"
    return source


def read_tree(path: Path) -> dict[str, Any]:
    """Read an experiment file without a check of its keys.

    `extends: FILE`, relative to the file's own folder, puts another's keys below its own.

    Raises:
        HardspikeError: a file cannot be read, is not a YAML mapping, or extends itself.
    """
    tree = _read_yaml(path)
    files = [path]
    while "extends" in tree:
        base = tree.pop("extends")
        if not isinstance(base, str):
            raise HardspikeError(f"{files[-1]}: extends: found {_short(base)}, allowed a file name")
        files.append(files[-1].parent / base)
        if files[-1].resolve() in (file.resolve() for file in files[:-1]):
            raise HardspikeError(f"{files[-2]}: extends: {base} leads back to a file before it")
        tree = extended(_read_yaml(files[-1]), tree)
    return tree


def extended(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the keys of `own` put over it, mapping by mapping.

    A mapping of another `kind`, `type` or `method` takes the place of the whole one below it.
    """
    merged = dict(base)
    for key, own_value in own.items():
        value, below = own_value, merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and _same_kind(below, value):
            value = extended(below, value)
        merged[key] = value
    return merged


def _same_kind(below: dict[str, Any], own: dict[str, Any]) -> bool:
    return all(own.get(tag, below.get(tag)) == below.get(tag) for tag in TAGS)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HardspikeError(f"{path}: cannot be read ({error})") from error
    try:
        tree = YAML(typ="safe", pure=True).load(StringIO(text))
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else f"{path}"
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise HardspikeError(f"{where}: is not YAML ({problem})") from error
    if not isinstance(tree, dict):
        raise HardspikeError(f"{path}: found {type(tree).__name__}, a mapping is needed")
    return tree


def split_override(override: str) -> tuple[str, str]:
    """Return the path and the text of one `dotted.path=value`.

    Raises:
        HardspikeError: it has no path, or no equals sign.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise HardspikeError(f"--set {override}: found no 'path=value', allowed e.g. train.rho=0.1")
    return key.strip(), text


def override_value(override: str) -> Any:
    """Return the value of one `dotted.path=value`, read as YAML.

    Raises:
        HardspikeError: it is not an override, or its value is not YAML.
    """
    try:
        return YAML(typ="safe", pure=True).load(StringIO(split_override(override)[1]))
    except (YAMLError, ValueError, RecursionError):
        raise HardspikeError(f"--set {override}: the value is not YAML") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    """Set one `dotted.path=value`."""
    value = override_value(override)
    node: Any = tree
    key = split_override(override)[0]
    *parents, last = key.split(".")
    for part in parents:
        node = _step(node, part, override)
    if isinstance(node, list):
        _step(node, last, override)
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise HardspikeError(f"--set {override}: {key} lies below a plain value")


def _step(node: Any, part: str, override: str) -> Any:
    if isinstance(node, dict):
        return node.setdefault(part, {})
    if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        return node[int(part)]
    allowed = f"an index below {len(node)}" if isinstance(node, list) else "no key here"
    raise HardspikeError(f"--set {override}: found {part!r}, allowed {allowed}")


def _fault(item: ErrorDetails, root: type[BaseModel]) -> tuple[str, str]:
    """Put one pydantic fault into words: its dotted path, and what was found and is allowed."""
    keys, model = _walk(item["loc"], root)
    path = ".".join(keys) or "(top)"
    found = f"found {_short(item['input'])}"
    match item["type"]:
        case "extra_forbidden":
            return path, f"unknown key, allowed {', '.join(sorted(model))}"
        case "missing":
            return path, "found nothing, this key is needed"
        case "union_tag_invalid":
            allowed = item["ctx"]["expected_tags"].replace("'", "")
            key = item["ctx"]["discriminator"].strip("'")
            return f"{path}.{key}", f"found {item['ctx']['tag']!r}, allowed {allowed}"
        case "union_tag_not_found":
            key = item["ctx"]["discriminator"].strip("'")
            return f"{path}.{key}", "found nothing, this key is needed"
        case "literal_error":
            return path, f"{found}, allowed {item['ctx']['expected'].replace(chr(39), '')}"
        case "value_error":
            return path, f"{item['ctx']['error']}"
    return path, f"{found}, {_lower(item['msg'])}"


def _lower(message: str) -> str:
    return message.removeprefix("Input ")[:1].lower() + message.removeprefix("Input ")[1:]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _walk(loc: tuple[int | str, ...], root: type[BaseModel]) -> tuple[list[str], set[str]]:
    """Follow a fault's location through the models, dropping the tags of discriminated unions.

    Returns the keys as the file has them, and the keys allowed beside the last one.
    """
    keys: list[str] = []
    candidates: list[type[BaseModel]] = [root]
    allowed: set[str] = set(root.model_fields)
    for part in loc:
        if isinstance(part, str) and len(candidates) > 1:
            tagged = [model for model in candidates if part in _tags(model)]
            if tagged:
                candidates = tagged
                allowed = set(tagged[0].model_fields)
                continue
        keys.append(str(part))
        if isinstance(part, int):
            continue
        allowed = {name for model in candidates for name in model.model_fields}
        below = [model.model_fields[part] for model in candidates if part in model.model_fields]
        candidates = [found for entry in below for found in _models(entry.annotation)]
    return keys, allowed


def _tags(model: type[BaseModel]) -> set[str]:
    values = (typing.get_args(entry.annotation) for entry in model.model_fields.values())
    return {value for group in values for value in group if isinstance(value, str)}


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.GenericAlias | types.UnionType) or typing.get_origin(
        annotation
    ):
        return [found for part in typing.get_args(annotation) for found in _models(part)]
    return []


def config_tree(config: BaseModel) -> dict[str, Any]:
    """Return a config section as plain JSON values, in a stable order."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    return tree


def default_run_folder(config: Config) -> Path:
    """Return `runs/<name>`, below `HARDSPIKE_RUNS` where that is set."""
    return Path(os.environ.get("HARDSPIKE_RUNS", "runs")) / config.name
