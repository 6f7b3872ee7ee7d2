"""Experiment files that put their keys over another's."""

from pathlib import Path

import pytest

from export.errors import HardspikeError
from pipeline.config import SAST
from pipeline.config_file import extended, load_config, read_tree

SMOKE = Path(__file__).resolve().parents[2] / "configs" / "smoke.yaml"


def sast(path: Path, *overrides: str) -> SAST:
    train = load_config(path, overrides).train
    assert isinstance(train, SAST)
    return train


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_own_keys_lie_over_those_of_the_file_below_mapping_by_mapping(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(
        tmp_path / "below" / "first.yaml", f"extends: {SMOKE}\nname: first\ntrain: {{rho: 0.3}}\n"
    )
    top = write(tmp_path / "top.yaml", "extends: below/first.yaml\ntrain: {epochs: 9}\n")
    smoke, found = load_config(SMOKE), load_config(top)
    assert (found.name, sast(top).rho, sast(top).epochs) == ("first", 0.3, 9)
    assert sast(top).batch_size == sast(SMOKE).batch_size
    assert found.data == smoke.data
    assert sast(top, "train.epochs=5").epochs == 5


def test_a_mapping_of_another_kind_takes_the_whole_place(tmp_path: Path) -> None:
    sgd = "optimizer: {kind: sgd, momentum: 0.0}"
    path = write(tmp_path / "sgd.yaml", f"extends: {SMOKE}\ntrain: {{{sgd}}}\n")
    found = sast(path).optimizer
    assert (found.kind, found.learning_rate) == ("sgd", 0.1)
    assert extended({"a": {"x": 1}, "b": [1]}, {"a": {"y": 2}, "b": [2]}) == {
        "a": {"x": 1, "y": 2},
        "b": [2],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: missing.yaml\n", r"missing\.yaml: cannot be read"),
        ("extends: one.yaml\n", r"one\.yaml: extends: one\.yaml leads back to a file before it"),
        ("extends: 3\n", r"one\.yaml: extends: found 3, allowed a file name"),
        ("extends: other.yaml\n", r"other\.yaml: extends: one\.yaml leads back"),
    ],
)
def test_a_base_that_cannot_be_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "other.yaml", "extends: one.yaml\n")
    with pytest.raises(HardspikeError, match=message):
        read_tree(write(tmp_path / "one.yaml", text))
