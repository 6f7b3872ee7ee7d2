"""FLOPs by hand against those that are counted; a training that went on against one in a piece."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.config import SAST, NetworkSettings
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork
from pipeline.training import energy
from pipeline.training.admm.exchange import Alone
from pipeline.training.admm.passes import PublishedPasses, ResyncPasses, passes_of
from pipeline.training.admm.settings import ADMM
from pipeline.training.checkpoint import Progress, load_state
from pipeline.training.cost import TrainingCost
from pipeline.training.flops import extrapolated, flops_of
from pipeline.training.hybrid import train_sast
from pipeline.training.loop import TrainResult

STEPS, COUNT, JOULES = 5, 40, 7
CLASSES = ("left", "right")
LAYERS = ({"type": "conv", "channels": 3, "kernel": 3, "bias": True}, {"type": "dense", "units": 2})
DENSE = ({"type": "dense", "units": 12, "bias": True}, {"type": "dense", "units": 2})


def dataset(count: int = COUNT) -> Dataset:
    generator = np.random.default_rng(0)
    spikes = (generator.random((count, STEPS, 2, 6, 6)) < 0.3).astype(np.uint8)
    labels = np.arange(count) % 2
    return Dataset(spikes, labels, CLASSES, tuple(map(str, range(count))))


def network(layers: Any = LAYERS, readout: str = "membrane") -> SpikingNetwork:
    settings = NetworkSettings.model_validate_json(
        json.dumps({"layers": layers, "readout": readout, "weight_gain": 2.6})
    )
    return SpikingNetwork(settings, (2, 6, 6), CLASSES)


def settings(**values: Any) -> SAST:
    plain = {"method": "sast", "epochs": 4, "batch_size": 10, "rho": 0.0, "device": "cpu"}
    return SAST.model_validate_json(json.dumps(plain | values))


def admm(**values: Any) -> ADMM:
    plain = {"method": "admm", "passes": 4, "device": "cpu"}
    return ADMM.model_validate_json(json.dumps(plain | values))


def trained(folder: Path, chosen: SAST, report: Any = lambda done, total: None) -> TrainResult:
    state = folder / "state.safetensors"
    model = network()
    return train_sast(model, dataset(), dataset(8), chosen, 7, state, "x", report)


def gradient_flops() -> int:
    """Of one gradient on one recording: a multiplication and an addition a weight and output.

    Forward, for the weights and for the inputs; no layer below the first asks for the last.
    """
    conv = 2 * STEPS * (4 * 4) * 3 * (2 * 3 * 3)
    dense = 2 * STEPS * 2 * (3 * 4 * 4)
    return 2 * conv + 3 * dense


@pytest.mark.parametrize(
    ("values", "gradients"),
    [
        ({}, 4),
        ({"rho": 0.05, "rho_warmup": {"zero_epochs": 1, "ramp_epochs": 0}}, 1 + 3 * 2),
        ({"rho": 0.05, "perturbation": {"direction": "random"}, "rho_warmup": None}, 4),
        ({"forward": "hard", "batch_size": 13, "prune": 0.5, "shift_pixels": 1}, 4),
    ],
    ids=["plain", "perturbed", "random", "hard"],
)
def test_sast_takes_the_flops_that_one_counts_by_hand(
    tmp_path: Path, values: dict[str, Any], gradients: int
) -> None:
    if values.get("rho_warmup", 0) is None:
        values = values | {"rho_warmup": {"zero_epochs": 0, "ramp_epochs": 0}}
    found = trained(tmp_path, settings(**values)).progress
    assert found.flops == gradients * COUNT * gradient_flops()


def test_a_training_that_went_on_costs_the_sum_of_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every minibatch takes some joules of a RAPL counter that starts again on the way."""
    package = tmp_path / "powercap" / "intel-rapl:0"
    package.mkdir(parents=True)
    span, drawn = 30 * JOULES * 10**6, 0
    (package / "name").write_text("package-0")
    (package / "max_energy_range_uj").write_text(str(span))
    (package / "energy_uj").write_text("0")
    monkeypatch.setattr(energy, "POWERCAP", package.parent)

    def draw(done: int, total: int) -> None:
        nonlocal drawn
        drawn = (drawn + JOULES * 10**6) % span
        (package / "new").write_text(str(drawn))
        (package / "new").rename(package / "energy_uj")

    class KilledError(Exception):
        pass

    def draw_and_be_killed(done: int, total: int) -> None:
        if done == 26:  # in the third epoch of ten minibatches; its energy goes with it
            raise KilledError
        draw(done, total)

    chosen = settings(batch_size=4, rho=0.05, rho_warmup={"zero_epochs": 1, "ramp_epochs": 1})
    whole = trained(tmp_path, chosen, draw).progress
    (tmp_path / "state.safetensors").unlink()
    with pytest.raises(KilledError):
        trained(tmp_path, chosen, draw_and_be_killed)
    first = load_state(tmp_path / "state.safetensors", whole.fingerprint, network(), lambda _: None)
    assert first is not None
    parted = trained(tmp_path, chosen, draw).progress
    assert first[0].joules == 2 * 10 * JOULES
    assert whole.joules == parted.joules == 4 * 10 * JOULES
    assert parted.energy_counter == "RAPL package-0"
    assert parted.flops == whole.flops > 0
    assert parted.steps == whole.steps == {"plain": COUNT, "perturbed": 3 * COUNT}
    assert parted.gradient_evaluations == whole.gradient_evaluations
    assert parted.seconds > first[0].seconds > 0


def test_a_start_and_an_end_by_admm_are_in_the_cost(tmp_path: Path) -> None:
    warm = {"warm_start": {"method": "admm", "passes": 2}, "readout_refit": {"ridge": 0.1}}
    found = trained(tmp_path, settings(epochs=1, **warm)).progress
    model = network()
    model.reset_parameters(7)
    alone = passes_of(model, dataset(), admm(passes=2), 7, Alone())
    progress = Progress("")
    with torch.inference_mode():
        alone.start(progress)
        for index in range(2):
            alone.one_pass(index, progress, lambda done, total: None)
        expected = alone.flops(progress.steps) + alone.flops({"start": 1})
    assert found.flops == COUNT * gradient_flops() + expected


class _Resync(ResyncPasses):
    """Passes without the measures that stand outside of the clock."""

    def _convergence(self) -> dict[str, float]:
        return {}


@pytest.mark.parametrize(
    ("layers", "readout", "values"),
    [
        (LAYERS, "membrane", {"batch": {"kind": "stream", "batch_size": 10}}),
        (DENSE, "membrane", {"batch": {"kind": "stream", "batch_size": 20}, "chunk": 5}),
        (DENSE, "count", {"batch": {"kind": "stream", "batch_size": 10}}),
        (DENSE, "membrane", {"batch": {"kind": "stream", "batch_size": 10, "trust": 0.0}}),
        (LAYERS, "membrane", {"batch": {"kind": "full"}, "chunk": 8}),
        (LAYERS, "count", {"batch": {"kind": "full"}, "shift_pixels": 1}),
    ],
    ids=["conv", "parts", "count", "readout-alone", "full", "full-shift"],
)
@torch.inference_mode()
def test_admm_is_counted_as_if_every_step_were(
    layers: Any, readout: str, values: dict[str, Any]
) -> None:
    """The real steps run under the counter here, each of them, instead of one of a kind."""
    model = network(layers, readout)
    model.reset_parameters(1)
    work = _Resync(model, dataset(), admm(**values), 1, Alone())
    progress, real = Progress(""), 0
    real += flops_of(lambda: work.start(progress))
    for index in range(4):
        real += flops_of(lambda index=index: work.one_pass(index, progress, lambda *_: None))  # type: ignore[misc]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert work.flops(progress.steps) == real > 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@torch.inference_mode()
def test_the_published_iteration_is_counted_as_if_every_pass_were() -> None:
    chosen = admm(variant="published", reset="soft", published={"warming": 1}, passes=3)
    model = network(({"type": "dense", "units": 12}, {"type": "dense", "units": 2}))
    model.reset_parameters(1)
    work = PublishedPasses(model, dataset(), chosen, 1, Alone())
    twin = passes_of(model, dataset(), chosen, 1, Alone())
    assert isinstance(twin, PublishedPasses)
    real = sum(flops_of(twin._iteration.advance) for _ in range(3))
    assert work.flops({"first pass": 1, "pass": 2}) == real > 0


def test_factorisations_have_their_formulas() -> None:
    a = torch.eye(6, dtype=torch.float64) * 2
    long = torch.rand(9, 4, dtype=torch.float64)
    factor = torch.linalg.cholesky(a)
    assert flops_of(lambda: torch.linalg.cholesky(a)) == 6**3 // 3
    assert flops_of(lambda: torch.cholesky_solve(a[:, :5], factor)) == 2 * 6 * 6 * 5
    assert flops_of(lambda: torch.linalg.solve_triangular(factor, a[:, :5], upper=False)) == 180
    assert flops_of(lambda: torch.linalg.qr(long)) == 4 * 9 * 16 - 4 * 64 // 3
    assert flops_of(lambda: torch.linalg.eigh(a)) == 9 * 216
    assert flops_of(lambda: torch.einsum("t,tbf->bf", torch.ones(3), torch.ones(3, 4, 5))) == 120


def test_linear_work_is_extrapolated_exactly() -> None:
    parts = [7, 7, 7, 3]
    counted: list[int] = []

    def count(number: int) -> int:
        counted.append(number)
        return 100 + 13 * sum(parts[:number])

    assert extrapolated(count, parts) == 100 + 13 * 24
    assert max(counted) == 2
    assert extrapolated(count, parts[:2]) == 100 + 13 * 14


def test_cost_without_a_counter_says_so() -> None:
    progress = Progress("", epoch=1, samples=10, seconds=2.0, joules=None, flops=5)
    tree = TrainingCost.of(progress, "sast", "cpu").as_json()
    assert tree["joules"] == "no counter"
    assert (tree["flops"], tree["samples_per_second"]) == (5, 5.0)
    progress.joules, progress.energy_counter = 3.5, "RAPL package-0"
    assert TrainingCost.of(progress, "sast", "cpu").as_json()["joules"] == 3.5
