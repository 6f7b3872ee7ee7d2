"""Training on a small made-up problem: limits, resume, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from export.errors import HardspikeError
from pipeline.config import SAST, NetworkSettings
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork, predict, to_time_first
from pipeline.neuron import Activation
from pipeline.training.augment import shift_at_random
from pipeline.training.checkpoint import write_tensors
from pipeline.training.loop import TrainResult, train

CLASSES = ("left", "right")
STEPS = 5
FINETUNE = {"epochs": 2, "weight_bits": 4, "weight_noise": 0.1, "rho": 0.02}


def dataset(count: int = 40, seed: int = 0) -> Dataset:
    """Noise with more spikes on the side that is the class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rate = np.full((count, 1, 1, 6, 6), 0.1)
    for side in (0, 1):
        rate[labels == side, :, :, :, 3 * side : 3 * side + 3] = 0.5
    spikes = (generator.random((count, STEPS, 2, 6, 6)) < rate).astype(np.uint8)
    return Dataset(spikes, labels, CLASSES, tuple(str(index) for index in range(count)))


def network() -> SpikingNetwork:
    layers = [
        {"type": "conv", "channels": 3, "kernel": 3, "bias": True},
        {"type": "dense", "units": 2},
    ]
    settings = NetworkSettings.model_validate_json(json.dumps({"layers": layers}))
    return SpikingNetwork(settings, (2, 6, 6), CLASSES)


def settings(**values: Any) -> SAST:
    plain = {"method": "sast", "epochs": 3, "batch_size": 10, "rho": 0.0, "device": "cpu"}
    return SAST.model_validate_json(json.dumps(plain | values))


def run(tmp_path: Path, chosen: SAST, held: Dataset | None = None) -> TrainResult:
    validation = dataset(12, seed=1) if held is None else held
    state = tmp_path / "state.safetensors"
    return train(network(), dataset(), validation, chosen, 7, state, "x", lambda done, total: None)


def same(one: TrainResult, other: TrainResult) -> bool:
    return all(torch.equal(one.weights[key], other.weights[key]) for key in one.weights)


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_at_rho_zero_training_is_the_plain_optimiser_to_the_bit(tmp_path: Path, kind: str) -> None:
    """An ordinary torch loop written here, over the same minibatches, ends in the same bits."""
    chosen = settings(optimizer={"kind": kind, "learning_rate": 0.05})
    found = run(tmp_path, chosen, held=dataset(0))
    model, data = network(), dataset()
    model.reset_parameters(7)
    make = torch.optim.Adam if kind == "adam" else torch.optim.SGD
    options: dict[str, Any] = {} if kind == "adam" else {"momentum": 0.9}
    optimizer = make(model.parameters(), lr=0.05, **options)
    for epoch in range(3):
        order = np.random.default_rng((7, epoch)).permutation(40)
        for batch in np.array_split(order, 4):
            optimizer.zero_grad()
            inputs = to_time_first(data.spikes_BTCHW[batch], torch.device("cpu"))
            evidence = model(inputs, Activation("sigmoid", 2.0, "smooth"))
            loss = functional.cross_entropy(evidence, torch.as_tensor(data.labels_B[batch]))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    for key, value in model.state_dict().items():
        assert torch.equal(value, found.weights[key]), key


def test_sharpness_aware_training_differs_from_it_and_learns(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    warm = {"zero_epochs": 0, "ramp_epochs": 0}
    chosen = settings(epochs=12, rho=0.05, rho_warmup=warm, optimizer={"kind": "adam"})
    sharp = run(tmp_path / "a", chosen)
    assert not same(sharp, run(tmp_path / "b", settings(epochs=12)))
    assert sharp.progress.gradient_evaluations == 12 * 4 * 2
    model = network()
    model.load_state_dict(sharp.weights)
    held = dataset(40, seed=2)
    assert (predict(model, held.spikes_BTCHW, sharp.activation) == held.labels_B).mean() > 0.8


@pytest.mark.parametrize(
    "values",
    [
        {"optimizer": {"kind": "sgd", "learning_rate": 0.05}, "schedule": "cosine"},
        {"optimizer": {"kind": "adam"}, "clip_norm": 0.1, "shift_pixels": 1},
        {"second_batch": "independent", "rho_decay": "cosine"},
        {"perturbation": {"direction": "random", "scope": "layer", "adaptive": True}},
        {"prune": 0.5},
        {"epochs": 2, "finetune": FINETUNE, "prune": 0.5},
        {"epochs": 1, "finetune": FINETUNE | {"epochs": 3}},
    ],
    ids=[
        "sgd-cosine",
        "adam-clip-shift",
        "independent",
        "random",
        "prune",
        "finetune",
        "in-finetune",
    ],
)
def test_going_on_from_any_epoch_ends_in_the_same_bits(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    warm = {"zero_epochs": 0, "ramp_epochs": 1}
    chosen = settings(**{"epochs": 4, "rho": 0.05, "rho_warmup": warm} | values)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = run(whole, chosen)

    class Killed(Exception):  # noqa: N818
        """Stands for the end of the process between two minibatches."""

    def killing(done: int, total: int) -> None:
        if done == 10:
            raise Killed

    state = parts / "state.safetensors"
    with pytest.raises(Killed):
        train(network(), dataset(), dataset(12, seed=1), chosen, 7, state, "x", killing)
    found = run(parts, chosen)
    assert same(found, expected)
    assert found.progress.history == expected.progress.history


def test_clipping_bounds_the_first_step_of_sgd(tmp_path: Path) -> None:
    optimizer = {"kind": "sgd", "learning_rate": 1.0, "momentum": 0.0}
    chosen = settings(epochs=1, batch_size=40, clip_norm=0.01, optimizer=optimizer)
    found, start = run(tmp_path, chosen, held=dataset(0)), network()
    start.reset_parameters(7)
    moved = [found.weights[key] - value for key, value in start.state_dict().items()]
    norm = float(torch.stack([part.square().sum() for part in moved]).sum().sqrt())
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_a_state_of_another_experiment_is_not_gone_on_with(tmp_path: Path) -> None:
    run(tmp_path, settings(epochs=2))
    state = tmp_path / "state.safetensors"
    lines: list[str] = []
    found = train(
        network(),
        dataset(),
        dataset(12, seed=1),
        settings(),
        8,
        state,
        "y",
        lambda done, total: None,
        lines.append,
    )
    assert [entry["epoch"] for entry in found.progress.history] == [0, 1, 2]
    assert lines == [
        "train     the state found is of another config, device or thread count: starts again"
    ]


def test_a_damaged_state_is_one_line(tmp_path: Path) -> None:
    run(tmp_path, settings(epochs=2))
    state = tmp_path / "state.safetensors"
    data = state.read_bytes()
    state.write_bytes(data[: len(data) // 2])
    with pytest.raises(HardspikeError, match=r"state\.safetensors: is not readable"):
        run(tmp_path, settings(epochs=2))
    fingerprint = f"x cpu {torch.get_num_threads()}"
    foreign = {"progress": json.dumps({"fingerprint": fingerprint})}
    write_tensors(state, {"network.weight": torch.zeros(2)}, foreign)
    with pytest.raises(HardspikeError, match=r"state\.safetensors: is not a training state"):
        run(tmp_path, settings(epochs=2))


def test_a_loss_that_is_not_finite_stops_the_training_in_one_line(tmp_path: Path) -> None:
    chosen = settings(epochs=5, optimizer={"kind": "sgd", "learning_rate": 1e38})
    with pytest.raises(HardspikeError, match=r"the loss is nan .* smaller learning_rate"):
        run(tmp_path, chosen)


@pytest.mark.parametrize(
    ("values", "evaluations"),
    [
        ({"second_batch": "independent"}, 2),
        ({"perturbation": {"scope": "layer"}}, 2),
        ({"perturbation": {"adaptive": True}}, 2),
        ({"perturbation": {"direction": "random"}}, 1),
    ],
    ids=["independent", "layer", "adaptive", "random"],
)
def test_every_form_of_the_step_is_another_training_and_counts_its_gradients(
    tmp_path: Path, values: dict[str, Any], evaluations: int
) -> None:
    for name in ("usual", "other"):
        (tmp_path / name).mkdir()
    common = {"rho": 0.1, "rho_warmup": {"zero_epochs": 0, "ramp_epochs": 0}}
    usual = run(tmp_path / "usual", settings(**common))
    other = run(tmp_path / "other", settings(**common, **values))
    assert not same(usual, other)
    assert usual.progress.gradient_evaluations == 3 * 4 * 2
    assert other.progress.gradient_evaluations == 3 * 4 * evaluations


def test_fine_tuning_goes_on_from_the_best_and_ends_on_the_grid(tmp_path: Path) -> None:
    finetune = {"epochs": 2, "forward": "hard", "weight_bits": 3}
    found = run(tmp_path, settings(finetune=finetune, prune=0.5))
    assert [entry["epoch"] for entry in found.progress.history] == [0, 1, 2, 3, 4]
    assert found.progress.best_epoch >= 3
    assert found.activation.forward == "hard"
    for key in ("layers.0.weight", "layers.1.weight"):
        weight = found.weights[key]
        assert len(set(weight.flatten().tolist())) <= 2**3
        assert (weight == 0).float().mean() >= 0.5
        assert weight.any()


def test_an_unpruned_epoch_is_not_kept_however_good(tmp_path: Path) -> None:
    """With nearly all weights gone the network guesses; an earlier epoch has learned more."""
    chosen = settings(epochs=12, prune=0.97, optimizer={"kind": "adam", "learning_rate": 0.02})
    found = run(tmp_path, chosen)
    scores = [entry["validation_hard"] for entry in found.progress.history]
    assert max(scores[:4]) > max(scores[-3:])
    weights = torch.cat([weight.flatten() for weight in found.weights.values() if weight.dim() > 1])
    assert (weights == 0).float().mean() > 0.95


def test_a_network_of_hard_spikes_has_no_smooth_accuracy(tmp_path: Path) -> None:
    history = run(tmp_path, settings(forward="hard", epochs=1)).progress.history
    assert "validation_hard" in history[0]
    assert "validation_smooth" not in history[0]


def test_noise_on_the_weights_is_gone_from_what_is_kept(tmp_path: Path) -> None:
    """A learning rate of nearly nothing keeps the weights; noise would show in them."""
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    before = run(tmp_path / "before", settings(epochs=1), held=dataset(0))
    finetune = {"epochs": 1, "weight_noise": 0.5, "learning_rate": 1e-30}
    after = run(tmp_path / "after", settings(epochs=1, finetune=finetune), held=dataset(0))
    assert same(before, after)


@pytest.mark.parametrize("select_by", ["smooth", "hard"])
def test_the_best_epoch_is_the_one_with_the_highest_validation_accuracy(
    tmp_path: Path, select_by: str
) -> None:
    found = run(tmp_path, settings(epochs=6, select_by=select_by)).progress
    scores = [entry[f"validation_{select_by}"] for entry in found.history]
    assert scores[found.best_epoch] == max(scores)


def test_shifting_moves_whole_recordings_and_leaves_the_edge_empty() -> None:
    spikes = np.zeros((30, 2, 1, 7, 7), np.uint8)
    spikes[:, 0, 0, 3, 3] = spikes[:, 1, 0, 3, 4] = 1
    moved = shift_at_random(spikes, 2, np.random.default_rng(0))
    places = np.argwhere(moved[:, 0, 0])[:, 1:] - 3
    assert (np.argwhere(moved[:, 1, 0])[:, 1:] - 3 == places + np.array([0, 1])).all()
    assert set(np.unique(places)) == {-2, -1, 0, 1, 2}
    assert moved.sum() == spikes.sum()
    assert shift_at_random(spikes, 0, np.random.default_rng(0)) is spikes


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_trains_the_same_network_as_the_processor_within_rounding(tmp_path: Path) -> None:
    (tmp_path / "gpu").mkdir()
    (tmp_path / "cpu").mkdir()
    gpu = run(tmp_path / "gpu", settings(device="cuda", epochs=1))
    cpu = run(tmp_path / "cpu", settings(epochs=1))
    assert gpu.device.startswith("cuda")
    for key, value in cpu.weights.items():
        torch.testing.assert_close(gpu.weights[key].cpu(), value, atol=1e-4, rtol=1e-3)
