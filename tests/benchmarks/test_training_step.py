"""The timed step: what is kept of it, and what is refused."""

import argparse
from pathlib import Path

import pytest

from benchmarks.training_step import SCHEMA, at_least_one, measure_steps, read_steps
from export.errors import HardspikeError
from export.files import write_json

SMOKE = Path(__file__).resolve().parents[2] / "configs" / "smoke.yaml"


def test_pairs_are_measured_kept_and_read_again(tmp_path: Path) -> None:
    found = measure_steps(SMOKE, tmp_path / "pairs.json", pairs=2, steps=1)
    assert read_steps(tmp_path / "pairs.json") == found
    assert len(found["plain_ms"]) == len(found["sast_ms"]) == 2
    assert min(found["plain_ms"] + found["sast_ms"]) > 0


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"schema": SCHEMA, "plain_ms": [1.0], "sast_ms": []},
        {"plain_ms": [1], "sast_ms": [1]},
    ],
)
def test_another_file_is_refused(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "pairs.json", value)
    with pytest.raises(HardspikeError, match=r"pairs\.json: is not what `make bench-step` writes"):
        read_steps(tmp_path / "pairs.json")


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5"])
def test_counts_are_one_or_more(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="allowed 1 or more"):
        at_least_one(text)
