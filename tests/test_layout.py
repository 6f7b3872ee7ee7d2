"""The three packages are the ones of this checkout, and what ships has no pickle in it."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["pipeline", "hardware", "export"])
def test_a_package_resolves_inside_the_checkout(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().parent == ROOT / name


def test_no_module_unpickles_or_loads_unsafely() -> None:
    unsafe = re.compile(r"pickle\.load|torch\.load\(|allow_pickle=True|yaml\.load\(")
    for package in ("pipeline", "hardware", "export"):
        for path in (ROOT / package).rglob("*.py"):
            assert not unsafe.search(path.read_text()), path
