"""Experiment files: every fault in words, all at once."""

from pathlib import Path
from typing import Any

import pytest

from export.errors import HardspikeError
from pipeline.config import SAST, SGD
from pipeline.config_file import config_tree, load_config, parse_config
from pipeline.data.settings import SaccadeMnist

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def faults(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(HardspikeError) as caught:
        load_config(path, overrides)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    "path",
    sorted(set(CONFIGS.glob("*.yaml")) - {CONFIGS / "robustness.yaml"}),
    ids=lambda path: path.stem,
)
def test_every_committed_config_is_valid_and_survives_a_round_trip(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    assert parse_config(config_tree(config), "again") == config


def test_overrides_are_typed_values_and_reach_into_lists() -> None:
    config = load_config(
        CONFIGS / "smoke.yaml",
        ["train.rho=2e-1", "network.layers.1.units=48", "train.optimizer={kind: sgd}"],
    )
    assert isinstance(config.train, SAST)
    assert config.train.rho == 0.2
    assert config.layers.layers[1].model_dump()["units"] == 48
    assert isinstance(config.train.optimizer, SGD)
    assert isinstance(config.data.source, SaccadeMnist)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.rhoo=0.1", ["--set train.rhoo", "unknown key", "rho_warmup"]),
        ("train.epochs=three", ["train.epochs", '"three"', "integer"]),
        ("train.epochs=true", ["train.epochs", "true", "integer"]),
        ("train.method=bptt", ["train.method", "bptt", "allowed sast, admm"]),
        ("train.optimizer.kind=lion", ["train.optimizer.kind", "'lion'", "adam, sgd"]),
        ("network.layers.0.kind=pool", ["network.layers.0.kind", "unknown key"]),
        ("network.layers.0.type=pool", ["network.layers.0.type", "'pool'", "conv, dense"]),
        ("network.readout=sum", ["network.readout", '"sum"', "count or membrane"]),
        ("data.source.kind=cifar", ["data.source.kind", "'cifar'", "saccade-mnist"]),
        ("convert.weight_bits=16", ["convert.weight_bits", "16", "less than or equal to 8"]),
        ("network.tau=0", ["network.tau", "0", "greater than 0"]),
        ("train.forward=hard", []),
        ("name=../x", ["name", "../x"]),
        ("network.layers.9.units=3", ["--set", "'9'", "an index below 3"]),
        ("name.x=3", ["--set name.x=3", "plain value"]),
        ("nonsense", ["--set nonsense", "path=value"]),
        ("name=2024-13-45", ["--set name=2024-13-45", "not YAML"]),
    ],
)
def test_a_faulty_override_is_one_line_with_path_found_and_allowed(
    override: str, parts: list[str]
) -> None:
    if not parts:
        load_config(CONFIGS / "smoke.yaml", [override])
        return
    (line,) = faults(CONFIGS / "smoke.yaml", override)
    for part in parts:
        assert part in line


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    text = (CONFIGS / "smoke.yaml").read_text()
    path.write_text(
        text.replace("epochs: 4", "epochs: -4").replace("seed: 0", "sead: 0").replace("25", "two")
    )
    lines = faults(path)
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert any("sead: unknown key" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: a\nname: b\n", "name"),
        ("a: [1\n", "is not YAML"),
        ("- 1\n", "a mapping is needed"),
        ("", "a mapping is needed"),
        ("name: 2026\n", "name"),
        ("\x00", "YAML"),
        ("name: 2024-13-45\n", "is not YAML (month must be"),
        ("[1, 2]: 3\n", "text keys"),
        ("&a {b: *a}\n", "text keys"),
    ],
)
def test_what_is_not_a_config_is_said_in_lines(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert any(part in line for line in faults(path))


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    (line,) = faults(path)
    assert line.startswith(f"{path}: cannot be read")


def test_a_config_is_frozen() -> None:
    config: Any = load_config(CONFIGS / "smoke.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3
