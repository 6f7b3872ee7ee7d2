"""What the study of ADMM measures for itself: the race's clock, scaling, curves, pictures."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.admm_study.pictures import pictures
from benchmarks.admm_study.published import curves_of
from benchmarks.admm_study.race import InTurns
from benchmarks.admm_study.scaling import Point, measured, random_recordings, sizes
from benchmarks.admm_study.scaling_table import slope
from benchmarks.admm_study.settings import SCALING, SCALING_BASE
from benchmarks.study.tables import Records
from export.errors import HardspikeError
from pipeline.config import Config
from pipeline.config_file import parse_config
from pipeline.data.splits import split_validation
from pipeline.train import build_network
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.train import train_admm
from pipeline.training.loop import train
from tests.benchmarks.test_admm_tables import made_up

EPOCHS = 3
METHODS: dict[str, dict[str, Any]] = {
    "admm": {"method": "admm", "passes": EPOCHS, "batch": {"kind": "stream", "batch_size": 8}},
    "surrogate": {
        "method": "sast",
        "epochs": EPOCHS,
        "batch_size": 8,
        "rho": 0.0,
        "forward": "hard",
    },
}


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def experiment(method: str) -> Config:
    layers = [{"type": "dense", "units": 8}, {"type": "dense", "units": 10}]
    tree = {
        "name": "turns",
        "data": {"source": {"kind": "saccade-mnist"}, "validation_fraction": 0.25},
        "network": {"readout": "membrane", "layers": layers},
        "train": METHODS[method],
    }
    return parse_config(tree, "turns")


@pytest.mark.parametrize("method", METHODS)
def test_a_training_in_turns_is_the_training_in_one_go(method: str, tmp_path: Path) -> None:
    config, data = experiment(method), random_recordings(40, 4)
    turns = InTurns(config, data, tmp_path / "turns.safetensors")
    count = 0
    while not turns.done:
        turns.go_on()
        count += 1
    fit, held = split_validation(data.labels_B, 0.25, config.seed)
    whole: dict[str, Any] = {
        "network": build_network(config, data),
        "training": data.take(fit),
        "validation": data.take(held),
        "settings": config.train,
        "seed": config.seed,
        "state_path": tmp_path / "whole.safetensors",
        "fingerprint": "race",
        "report": lambda done, total: None,
    }
    found = (train_admm if isinstance(config.train, ADMM) else train)(**whole)
    assert count == len(turns.seconds) == EPOCHS
    assert turns.validation == [entry["validation_hard"] for entry in found.progress.history]
    assert turns.seconds == sorted(turns.seconds)
    assert turns.seconds[0] > 0
    turns.go_on()
    assert len(turns.seconds) == EPOCHS


def test_a_race_needs_recordings_to_validate_on(tmp_path: Path) -> None:
    config = experiment("admm")
    data = config.data.model_copy(update={"validation_fraction": 0.0})
    with pytest.raises(HardspikeError, match="validation_fraction: found 0"):
        InTurns(
            config.model_copy(update={"data": data}), random_recordings(40, 4), tmp_path / "state"
        )


def test_a_size_is_measured_in_seconds_and_bytes() -> None:
    found = measured(60, 3, 8)
    assert set(found) == {"first_seconds", "pass_seconds", "peak_bytes"}
    assert found["first_seconds"] > 0
    assert found["peak_bytes"] >= 0


def test_every_size_differs_from_the_base_in_what_grows_alone() -> None:
    for grows, size in sizes():
        assert size[grows] in SCALING[grows]
        assert {key: value for key, value in size.items() if key != grows} == {
            key: value for key, value in SCALING_BASE.items() if key != grows
        }
        point = Point(grows=grows, **size, first_seconds=1.0, pass_seconds=1.0, peak_bytes=1)
        assert point.size == size[grows]


def test_random_recordings_are_the_same_every_time_and_fire_at_a_twentieth() -> None:
    one, other = random_recordings(20, 5), random_recordings(20, 5)
    assert (one.spikes_BTCHW == other.spikes_BTCHW).all()
    assert one.spikes_BTCHW.mean() == pytest.approx(0.05, abs=0.003)
    assert sorted(set(one.labels_B.tolist())) == list(range(10))


@given(
    st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True),
    st.floats(-3, 3),
    st.floats(1e-3, 1e3),
)
def test_the_slope_of_a_power_is_its_exponent(
    sizes: list[int], power: float, factor: float
) -> None:
    values = [factor * size**power for size in sizes]
    found = slope([float(size) for size in sizes], values)
    spread = math.log(max(sizes) / min(sizes))
    assert found == pytest.approx(power, abs=1e-9 / spread)


def test_curves_are_those_of_the_published_iteration_alone() -> None:
    entry = {"epoch": 0, "objective": 1.0, "objective_labels": 0.5, "agreement_true_1": 0.123456789}
    assert curves_of([entry, entry]) == {
        "objective": (1.0, 1.0),
        "agreement_true_1": (0.12346, 0.12346),
    }
    with pytest.raises(HardspikeError, match="the published iteration has agreement_true_1"):
        curves_of([{"epoch": 0, "objective": 1.0}])


def test_every_picture_that_has_records_is_drawn(tmp_path: Path) -> None:
    found = made_up()
    drawn = pictures(found)
    assert set(drawn) == {
        *("accuracy.png", "robustness.png", "published.png", "race.png"),
        *("scaling-samples.png", "scaling-ranks.png"),
    }
    for name, draw in drawn.items():
        draw(found, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert pictures(type(found)(Records.of([]))) == {}
