"""Training by ADMM on a small made-up problem: it learns, goes on, refuses, needs no gradient."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.errors import HardspikeError
from pipeline.config import SAST, NetworkSettings
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork, predict
from pipeline.training.admm.exchange import Alone
from pipeline.training.admm.passes import ResyncPasses, passes_of
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.stack import predicted
from pipeline.training.admm.train import hard_activation, refit_readout, train_admm
from pipeline.training.checkpoint import load_state
from pipeline.training.hybrid import train_sast
from pipeline.training.loop import TrainResult
from pipeline.training.loop import train as train_surrogate

CLASSES = ("left", "right")
STEPS = 5
NARROW = {"type": "dense", "units": 4}
CONV = {"type": "conv", "channels": 3, "kernel": 3, "bias": True}
DENSE, OUT = {"type": "dense", "units": 12}, {"type": "dense", "units": 2}


def dataset(count: int = 60, seed: int = 0) -> Dataset:
    """Noise with a spot in one of two rows; the class is whether row and column agree."""
    generator = np.random.default_rng(seed)
    labels, row = np.arange(count) % 2, generator.integers(0, 2, count)
    rate = np.full((count, 1, 1, 6, 6), 0.05)
    for index in range(count):
        column = row[index] ^ labels[index]
        rate[index, ..., 3 * row[index] : 3 * row[index] + 3, 3 * column : 3 * column + 3] = 0.6
    spikes = (generator.random((count, STEPS, 2, 6, 6)) < rate).astype(np.uint8)
    return Dataset(spikes, labels, CLASSES, tuple(str(index) for index in range(count)))


def network(*layers: Any, readout: str = "membrane") -> SpikingNetwork:
    tree = {"layers": layers or (CONV, DENSE, OUT), "readout": readout, "weight_gain": 2.6}
    settings = NetworkSettings.model_validate_json(json.dumps(tree))
    return SpikingNetwork(settings, (2, 6, 6), CLASSES)


def settings(**values: Any) -> ADMM:
    plain = {"method": "admm", "passes": 8, "device": "cpu", "ridge": 1.0}
    batch = {"kind": "stream", "batch_size": 20, "trust": 0.1}
    return ADMM.model_validate_json(json.dumps({**plain, "batch": batch, **values}))


def ignore(done: int, total: int) -> None:
    """Show no progress."""


def run(tmp_path: Path, chosen: ADMM, model: SpikingNetwork | None = None) -> TrainResult:
    model, state = model if model is not None else network(), tmp_path / "state.safetensors"
    return train_admm(model, dataset(), dataset(40, 1), chosen, 7, state, "x", ignore)


def same(one: TrainResult, other: TrainResult) -> bool:
    return all(torch.equal(one.weights[key], other.weights[key]) for key in one.weights)


# Published is another iteration, with tests of its own.
FORMS: dict[str, dict[str, Any]] = {
    "stream": {},
    "full": {"batch": {"kind": "full", "alpha": 4.0}},
    "soft reset": {"reset": "soft"},
    "exact": {"membrane": {"kind": "exact"}, "passes": 16},
    "cross-entropy": {"labels": {"kind": "cross-entropy"}, "passes": 16},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_learns_what_a_random_network_does_not_know(tmp_path: Path, form: str) -> None:
    found = run(tmp_path, settings(**FORMS[form]), network(NARROW, OUT))
    best = max(entry["validation_hard"] for entry in found.progress.history)
    (tmp_path / "state.safetensors").unlink()
    drawn = settings(batch={"kind": "stream", "trust": 0.0})
    control = run(tmp_path, drawn, network(NARROW, OUT))
    random = max(entry["validation_hard"] for entry in control.progress.history)
    assert best >= 0.8
    assert best >= random + 0.1


def test_a_count_readout_is_trained_through_the_spikes_of_the_last_layer(tmp_path: Path) -> None:
    model = network(CONV, OUT, readout="count")
    found = run(tmp_path, settings(passes=20), model)
    best = max(entry["validation_hard"] for entry in found.progress.history)
    model.load_state_dict(found.weights)
    classes = predict(model, dataset(40, 1).spikes_BTCHW, hard_activation(model))
    assert best >= 0.75
    assert float((classes == dataset(40, 1).labels_B).mean()) == best


def test_validation_is_that_of_the_deployed_network(tmp_path: Path) -> None:
    model = network()
    found = run(tmp_path, settings(), model)
    model.load_state_dict(found.weights)
    held = dataset(40, 1)
    classes = predict(model, held.spikes_BTCHW, hard_activation(model))
    assert np.array_equal(classes, predicted(model, held.spikes_BTCHW, "hard"))
    best = found.progress.history[found.progress.best_epoch]
    assert best["validation_hard"] == float((classes == held.labels_B).mean())


def test_nothing_is_differentiated(tmp_path: Path) -> None:
    model = network()
    with torch.inference_mode():
        found = run(tmp_path, settings(passes=2), model)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert found.progress.gradient_evaluations == 0
    assert all(not weight.requires_grad for weight in found.weights.values())


@pytest.mark.parametrize("values", [{}, {"batch": {"kind": "full"}}, {"shift_pixels": 1}], ids=str)
def test_the_same_seed_gives_the_same_bytes_and_a_killed_run_goes_on(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    chosen = settings(passes=4, **values)
    for name in ("one", "other", "killed"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "one", chosen)
    assert same(whole, run(tmp_path / "other", chosen))

    class KilledError(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done > total // 2:
            raise KilledError

    state, model = tmp_path / "killed" / "state.safetensors", network()
    with pytest.raises(KilledError):
        train_admm(model, dataset(), dataset(40, 1), chosen, 7, state, "x", kill)
    said: list[str] = []
    again = train_admm(
        network(), dataset(), dataset(40, 1), chosen, 7, state, "x", ignore, said.append
    )
    assert said == ["train     goes on after pass 2 of 4"]
    assert same(whole, again)
    assert again.progress.history == whole.progress.history


def test_the_probe_has_every_class_though_recordings_come_sorted() -> None:
    data, order = dataset(300), np.argsort(np.arange(300) % 2, kind="stable")
    work = passes_of(network(), data.take(order), settings(), 0, Alone())
    assert isinstance(work, ResyncPasses)
    assert 0.4 < float(work.probe().labels_B.mean()) < 0.6


def test_a_matrix_that_cannot_be_factored_is_one_line(tmp_path: Path) -> None:
    chosen = settings().model_copy(update={"ridge": -1.0})
    with pytest.raises(HardspikeError, match=r"train\.ridge, damping: found -1"):
        run(tmp_path, chosen)


def test_a_state_of_another_experiment_is_not_gone_on_with(tmp_path: Path) -> None:
    run(tmp_path, settings(passes=2))
    said: list[str] = []
    state = tmp_path / "state.safetensors"
    train_admm(network(), dataset(), dataset(8, 1), settings(), 7, state, "y", ignore, said.append)
    assert said == [
        "train     the state found is of another config, device, thread or rank count: starts again"
    ]


def test_published_trains_validates_and_goes_on(tmp_path: Path) -> None:
    weights = {"warming": 1}
    chosen = ADMM.model_validate_json(
        json.dumps(
            {"method": "admm", "variant": "published", "reset": "soft", "passes": 3}
            | {"published": weights}
        )
    )
    whole = run(tmp_path, chosen, network(DENSE, OUT))
    assert len(whole.progress.history) == 3
    assert {"training_hard", "validation_hard", "agreement_true_1"} <= set(
        whole.progress.history[-1]
    )
    # All passes are done: a second run restores the state and changes nothing.
    assert same(whole, run(tmp_path, chosen, network(DENSE, OUT)))


def test_published_refuses_a_convolution_by_name(tmp_path: Path) -> None:
    chosen = ADMM(method="admm", variant="published", reset="soft", passes=11)
    with pytest.raises(HardspikeError, match=r"network\.layers\.0\.type: found conv"):
        run(tmp_path, chosen)


def test_keys_of_the_other_variant_are_refused() -> None:
    with pytest.raises(ValueError, match="batch: is a key of variant: resync; found"):
        settings(variant="published", reset="soft")
    with pytest.raises(ValueError, match=r"published\.warming: found 10 of 10 passes"):
        ADMM(method="admm", variant="published", reset="soft", passes=10)
    with pytest.raises(ValueError, match="published: is a key of variant: published"):
        settings(published={"rho": 2.0})


def sast(**values: Any) -> SAST:
    plain = {"method": "sast", "epochs": 2, "batch_size": 20, "rho": 0.0, "device": "cpu"}
    return SAST.model_validate_json(json.dumps({**plain, "forward": "hard", **values}))


def hybrid(tmp_path: Path, chosen: SAST) -> TrainResult:
    state = tmp_path / "state.safetensors"
    return train_sast(network(), dataset(), dataset(40, 1), chosen, 7, state, "x", ignore)


def test_a_warm_start_begins_where_admm_ended_and_its_seconds_count(tmp_path: Path) -> None:
    admm = settings(passes=3).model_copy(update={"device": "auto"})
    start = run(tmp_path, settings(passes=3))
    (tmp_path / "state.safetensors").unlink()
    still = {"kind": "sgd", "learning_rate": 1e-30, "momentum": 0.0}
    found = hybrid(tmp_path, sast(warm_start=admm.model_dump(), optimizer=still))
    assert same(start, found)
    assert found.progress.samples == start.progress.samples + 2 * len(dataset())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.safetensors"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("reset", "soft"), ("exchange", "sums"), ("tensorboard", True), ("device", "cpu")],
)
def test_what_means_nothing_in_a_warm_start_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"warm_start\.{key}: found {value}"):
        sast(warm_start={"method": "admm", key: value})


def test_a_refit_does_not_undo_a_finetune() -> None:
    with pytest.raises(ValueError, match="readout_refit undoes what finetune did"):
        sast(readout_refit={}, finetune={"epochs": 1})


def test_a_readout_refit_changes_the_readout_alone_and_is_a_ridge_regression(
    tmp_path: Path,
) -> None:
    for name in ("plain", "refit"):
        (tmp_path / name).mkdir()
    plain = hybrid(tmp_path / "plain", sast())
    found = hybrid(tmp_path / "refit", sast(readout_refit={"ridge": 0.5}))
    changed = [
        key for key in plain.weights if not torch.equal(plain.weights[key], found.weights[key])
    ]
    assert changed == ["layers.2.weight"]
    model = network()
    model.load_state_dict(plain.weights)
    refit_readout(model, dataset(), 0.5)
    assert torch.equal(model.state_dict()["layers.2.weight"], found.weights["layers.2.weight"])


def test_without_hybrids_sast_is_what_it_was(tmp_path: Path) -> None:
    chosen, state = sast(), tmp_path / "other.safetensors"
    plain = train_surrogate(network(), dataset(), dataset(40, 1), chosen, 7, state, "x", ignore)
    assert same(plain, hybrid(tmp_path, chosen))


def test_the_state_of_a_stream_holds_no_recording(tmp_path: Path) -> None:
    """Its size follows from the network alone."""
    sizes = []
    for count in (40, 60):
        state = tmp_path / f"{count}.safetensors"
        chosen = settings(passes=1)
        train_admm(network(), dataset(count), dataset(0), chosen, 7, state, "x", ignore)
        sizes.append(state.stat().st_size)
    assert abs(sizes[0] - sizes[1]) < 200
    assert load_state(tmp_path / "40.safetensors", "other", network(), lambda tensors: None) is None
