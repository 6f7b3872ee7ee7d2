"""The weight steps: best size, trust, parts of a batch, memory, and no gradient anywhere.

Axes: `T` time step, `B` recording, `O` output, `F` fan-in.
"""

import ast
import copy
import itertools
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.network import Readout
from pipeline.config import ConvSettings, DenseSettings, NetworkSettings
from pipeline.model import SpikingNetwork
from pipeline.neuron import Activation
from pipeline.training import admm
from pipeline.training.admm.exchange import Alone
from pipeline.training.admm.resync import gathered
from pipeline.training.admm.settings import (
    ADMM,
    CrossEntropy,
    Exact,
    Full,
    Ramp,
    Squared,
    Stream,
)
from pipeline.training.admm.stack import Stack
from pipeline.training.admm.steps import Batch, Memory, Steps

Array = NDArray[np.float64]
HARD = Activation("sigmoid", 1.0, "hard")
SHAPE, T = (1, 4, 4), 8
RIDGE, OUTPUT_RIDGE = 0.3, 0.2


def network_of(readout: Readout, conv: bool = False, double: bool = True) -> SpikingNetwork:
    dense = DenseSettings(type="dense", units=12, bias=True)
    first = ConvSettings(type="conv", channels=4, kernel=3, stride=1, padding=1, bias=True)
    last = DenseSettings(type="dense", units=3)
    layers = (first, dense, last) if conv else (dense, dense, last)
    settings = NetworkSettings(layers=layers, readout=readout, threshold=0.5, weight_gain=3.0)
    network = SpikingNetwork(settings, SHAPE, ("a", "b", "c"))
    network.reset_parameters(1)
    return network.double() if double else network


def recordings(count: int = 30, seed: int = 0, double: bool = True) -> Batch:
    """Return recordings of three classes: each fires at its own places more than elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    rates = 0.15 + 0.45 * (torch.rand(3, *SHAPE, generator=generator) < 0.4)
    labels_B = torch.arange(count) % 3
    spikes = torch.rand(T, count, *SHAPE, generator=generator) < rates[labels_B]
    return spikes.double() if double else spikes.float(), labels_B


def parts_of(batch: Batch, sizes: Iterable[int]) -> list[Batch]:
    starts = np.cumsum([0, *sizes])
    spikes, labels_B = batch
    return [(spikes[:, a:b], labels_B[a:b]) for a, b in itertools.pairwise(starts)]


def stepper(network: SpikingNetwork, memory: Memory | None = None, **keys: Any) -> Steps:
    settings = ADMM(method="admm", ridge=RIDGE, output_ridge=OUTPUT_RIDGE, **keys)
    return Steps(Stack(network, T, settings.reset), settings, Alone(), memory)


def weights_of(steps: Steps) -> list[Tensor]:
    return [synapses.matrix_OF.clone() for synapses in steps.stack.synapses]


def readout_weight(network: SpikingNetwork) -> Tensor:
    """Return the last layer's weight itself."""
    return network.get_parameter("layers.2.weight")


def evidence_of(network: SpikingNetwork, batch: Batch) -> Array:
    with torch.inference_mode():
        evidence: Tensor = network(batch[0], HARD)
    return np.asarray(evidence.numpy())


def refitted_mismatch(network: SpikingNetwork, batch: Batch) -> float:
    """Return ‖Y − F W‖² of numpy's ridge readout over the hard network's features."""
    trial = copy.deepcopy(network)
    weight, columns = readout_weight(trial), []
    units = weight.shape[1]
    for unit in range(units):  # the features are the evidence of unit readouts
        with torch.no_grad():
            weight.zero_()
            weight[0, unit] = 1.0
        columns.append(evidence_of(trial, batch)[:, 0])
    features = np.stack(columns, 1)
    onehot = np.eye(3)[batch[1].numpy()]
    gram = features.T @ features
    gram += OUTPUT_RIDGE * np.mean(np.diag(gram)) * np.eye(units)
    fitted = np.linalg.solve(gram, features.T @ onehot)
    return float(((onehot - features @ fitted) ** 2).sum())


def evidence_mismatch(network: SpikingNetwork, batch: Batch) -> float:
    """Return ‖Y − f‖² of a count readout that asks for half of the steps."""
    away = evidence_of(network, batch) - T / 2 * np.eye(3)[batch[1].numpy()]
    return float((away**2).sum())


MEASURES: dict[Readout, Callable[[SpikingNetwork, Batch], float]] = {
    "membrane": refitted_mismatch,
    "count": evidence_mismatch,
}


@pytest.mark.parametrize("readout", ["membrane", "count"])
@pytest.mark.parametrize("conv", [False, True])
def test_a_full_step_is_the_best_of_three_sizes(conv: bool, readout: Readout) -> None:
    """The three steps are taken and measured here by numpy and the network itself."""
    network, batch = network_of(readout, conv), recordings()
    measure = MEASURES[readout]
    steps = stepper(network, batch=Full(kind="full", alpha=0.7))
    with torch.inference_mode():
        steps.refit_readout([batch])
    for _ in range(4):
        alpha, before = steps.memory.alpha if steps.memory.steps else 0.7, weights_of(steps)
        with torch.inference_mode():
            sums = gathered(steps.stack, *batch, steps.settings, range(len(steps.stack.synapses)))
            taken = steps.full(lambda: [batch])
        assert taken.recordings == 30
        changes = []
        for gram_FF, cross_OF in zip(sums.gram_FF, sums.cross_OF, strict=True):
            gram = gram_FF.numpy()
            shift = RIDGE * np.mean(np.diag(gram)) * np.eye(len(gram))
            changes.append(np.linalg.solve(gram + shift, cross_OF.numpy().T).T)
        trial, tried = copy.deepcopy(network), {}
        for size in (alpha / 2, alpha, 2 * alpha):
            pairs = zip(Stack(trial, T, "hard").synapses, before, changes, strict=True)
            for synapses, matrix, change in pairs:
                synapses.assign(matrix + size * torch.from_numpy(change))
            tried[size] = measure(trial, batch)
        assert tried[steps.memory.alpha] == pytest.approx(min(tried.values()), rel=1e-8)
        assert measure(network, batch) == pytest.approx(min(tried.values()), rel=1e-8)
        for now, matrix, change in zip(weights_of(steps), before, changes, strict=True):
            np.testing.assert_allclose(
                now.numpy(), matrix.numpy() + steps.memory.alpha * change, atol=1e-9
            )


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("membrane", [Ramp(kind="ramp"), Exact(kind="exact", flips=0.05)])
def test_full_steps_fit_the_recordings_better_than_drawn_weights(
    membrane: Ramp | Exact, reset: str
) -> None:
    network, batch = network_of("membrane"), recordings(60)
    steps = stepper(network, batch=Full(kind="full"), membrane=membrane, reset=reset)
    with torch.inference_mode():
        steps.refit_readout([batch])
        errors = [steps.full(lambda: [batch]).mismatch for _ in range(8)]
    assert min(errors) < 0.8 * errors[0]


@pytest.mark.parametrize("readout", ["membrane", "count"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_streaming_step_moves_a_layer_by_trust_of_its_norm(
    readout: Readout, schedule: Literal["constant", "cosine"]
) -> None:
    network, batch = network_of(readout), recordings()
    settings = Stream(kind="stream", trust=0.03, schedule=schedule)
    steps = stepper(network, batch=settings)
    for done in range(4):
        before = weights_of(steps)
        with torch.inference_mode():
            steps.stream([batch], 10)
        trust = 0.03 * ((1 + np.cos(np.pi * done / 10)) / 2 if schedule == "cosine" else 1)
        assert steps.size == pytest.approx(trust)
        for now, matrix in zip(weights_of(steps), before, strict=True):
            assert float((now - matrix).norm()) == pytest.approx(trust * float(matrix.norm()))


def test_a_streaming_step_goes_along_the_weight_step() -> None:
    """Of the first minibatch alone; of the second, with momentum and Gram matrices renewed."""
    network = network_of("membrane")
    batches = [recordings(30, seed) for seed in (0, 1)]
    stream = Stream(kind="stream", trust=0.01, momentum=0.6, memory=0.9, schedule="constant")
    steps = stepper(network, batch=stream)
    kept_gram: list[Array] = []
    kept_cross: list[Array] = []
    for done, batch in enumerate(batches):
        before = weights_of(steps)
        with torch.inference_mode():
            sums = gathered(steps.stack, *batch, steps.settings, range(len(steps.stack.synapses)))
            steps.stream([batch], 10)
        grams = [g.numpy() / (T * 30) for g in sums.gram_FF]
        crosses = [c.numpy() / (T * 30) for c in sums.cross_OF]
        if done:  # the second renewal is half old and half new: a mean, until memory is less
            grams = [(a + b) / 2 for a, b in zip(kept_gram, grams, strict=True)]
            crosses = [0.6 * a + b for a, b in zip(kept_cross, crosses, strict=True)]
        kept_gram, kept_cross = grams, crosses
        for index, now in enumerate(weights_of(steps)):
            shift = RIDGE * np.mean(np.diag(grams[index])) * np.eye(len(grams[index]))
            step = np.linalg.solve(grams[index] + shift, crosses[index].T).T
            step *= 0.01 * float(before[index].norm()) / np.linalg.norm(step)
            np.testing.assert_allclose(now.numpy(), before[index].numpy() + step, atol=1e-10)


def test_the_memory_of_gram_matrices_is_a_mean_until_it_is_as_long_as_asked_for() -> None:
    """Hidden weights hardly move, so that every renewal of a layer sees the same Gram matrix."""
    network = network_of("membrane")
    stream = Stream(kind="stream", trust=1e-12, memory=0.99, renew_every=1)
    steps = stepper(network, batch=stream)
    grams = []
    with torch.inference_mode():
        for seed in range(20):
            batch = recordings(30, seed)
            sums = gathered(steps.stack, *batch, steps.settings, range(len(steps.stack.synapses)))
            grams.append([g.numpy() / (T * 30) for g in sums.gram_FF])
            steps.stream([batch], 20)
    assert steps.memory.renewals == [5, *[20] * (len(steps.stack.synapses) - 1)]
    np.testing.assert_allclose(
        steps.memory.grams_FF[1].numpy(), np.mean([one[1] for one in grams], axis=0), atol=1e-9
    )
    first = [grams[step][0] for step in (0, 1, 3, 7, 15)]
    np.testing.assert_allclose(steps.memory.grams_FF[0].numpy(), np.mean(first, axis=0), atol=1e-12)


@pytest.mark.parametrize("labels", [Squared(kind="squared"), CrossEntropy(kind="cross-entropy")])
def test_without_trust_hidden_weights_stay_and_the_readout_is_a_ridge(
    labels: Squared | CrossEntropy,
) -> None:
    network, batch = network_of("membrane"), recordings()
    steps = stepper(network, batch=Stream(kind="stream", trust=0.0), labels=labels)
    before = weights_of(steps)
    with torch.inference_mode():
        steps.stream([batch], 10)
    for now, matrix in zip(weights_of(steps), before, strict=True):
        assert torch.equal(now, matrix)
    error = float(((evidence_of(network, batch) - np.eye(3)[batch[1].numpy()]) ** 2).sum())
    assert error == pytest.approx(refitted_mismatch(network, batch))


def test_a_refitted_readout_is_no_worse_by_the_ridge_objective_than_any_other() -> None:
    network, batch = network_of("membrane"), recordings()
    steps = stepper(network)
    with torch.inference_mode():
        sums = steps.refit_readout([batch])
    assert sums.features_FF is not None
    price = OUTPUT_RIDGE * float(sums.features_FF.diagonal().mean())

    def objective(weight: Tensor) -> float:
        with torch.no_grad():
            readout_weight(network).copy_(weight)
        away = evidence_of(network, batch) - np.eye(3)[batch[1].numpy()]
        return float((away**2).sum() + price * float(weight.square().sum()))

    fitted = readout_weight(network).detach().clone()
    best, generator = objective(fitted), torch.Generator().manual_seed(0)
    for size in (1e-4, 1e-2, 1.0):
        for _ in range(5):
            other = fitted + size * torch.randn(fitted.shape, generator=generator).double()
            assert objective(other) > best


VARIANTS: dict[str, dict[str, Any]] = {
    "stream": {},
    "stream exact": {"membrane": Exact(kind="exact", flips=0.05)},
    "stream cross-entropy": {"labels": CrossEntropy(kind="cross-entropy")},
    "stream soft": {"reset": "soft"},
    "full": {"batch": Full(kind="full")},
    "full exact": {"batch": Full(kind="full"), "membrane": Exact(kind="exact", flips=0.05)},
    "full cross-entropy": {
        "batch": Full(kind="full"),
        "labels": CrossEntropy(kind="cross-entropy"),
    },
}


def some_steps(steps: Steps, sizes: Iterable[int], count: int, double: bool = True) -> None:
    """Take steps on recordings of their own, given in parts of these sizes."""
    first = steps.memory.steps
    for seed in range(first, first + count):
        parts = parts_of(recordings(sum(sizes), seed, double), sizes)
        with torch.inference_mode():
            if isinstance(steps.settings.batch, Stream):
                steps.stream(parts, 20)
            else:
                steps.full(partial(iter, parts))


@pytest.mark.parametrize("keys", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("readout", ["membrane", "count"])
@pytest.mark.parametrize("conv", [False, True])
def test_the_size_of_the_parts_changes_no_weight(
    conv: bool, readout: Readout, keys: dict[str, Any]
) -> None:
    networks = [network_of(readout, conv) for _ in range(2)]
    for network, sizes in zip(networks, ([30], [7, 13, 10]), strict=True):
        some_steps(stepper(network, **keys), sizes, 4)
    drawn = network_of(readout, conv)
    for one, other, start in zip(*(n.parameters() for n in (*networks, drawn)), strict=True):
        assert not torch.equal(one, start)
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("conv", [False, True])
def test_in_single_precision_parts_agree_to_rounding(conv: bool) -> None:
    networks = [network_of("membrane", conv, double=False) for _ in range(2)]
    for network, sizes in zip(networks, ([30], [7, 13, 10]), strict=True):
        some_steps(stepper(network), sizes, 4, double=False)
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("keys", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_restored_memory_goes_on_to_the_bit(keys: dict[str, Any]) -> None:
    whole, halted = network_of("membrane"), network_of("membrane")
    some_steps(stepper(whole, **keys), [30], 6)
    first = stepper(halted, **keys)
    some_steps(first, [30], 3)
    tensors = {key: value.clone() for key, value in first.memory.tensors().items()}
    resumed = Memory.restored(tensors, torch.device("cpu"))
    assert resumed.steps == 3
    some_steps(stepper(halted, resumed, **keys), [30], 3)
    for one, other in zip(whole.parameters(), halted.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("keys", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_step_leaves_no_trace_of_a_gradient(keys: dict[str, Any]) -> None:
    """In inference mode torch records nothing, and a differentiation would raise."""
    network = network_of("membrane", conv=True)
    assert all(parameter.requires_grad for parameter in network.parameters())
    some_steps(stepper(network, **keys), [15, 15], 2)
    for parameter in network.parameters():
        assert parameter.grad is None
        assert parameter.grad_fn is None
        assert parameter.requires_grad
        assert parameter.is_leaf


def test_no_module_of_the_package_names_a_gradient() -> None:
    """Not one name or attribute of automatic differentiation stands in the code."""
    forbidden = {"autograd", "backward", "requires_grad", "requires_grad_", "grad", "enable_grad"}
    forbidden |= {"grad_fn", "vjp", "jvp", "optim", "functional_call"}
    paths = sorted(Path(admm.__path__[0]).glob("*.py"))
    assert {"steps.py", "resync.py", "membrane.py"} <= {path.name for path in paths}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "attr", getattr(node, "id", getattr(node, "name", None)))
            assert name not in forbidden, f"{path.name}:{getattr(node, 'lineno', 0)}: {name}"


def test_gram_matrices_are_renewed_ever_less_and_the_first_layers_no_more() -> None:
    """The inputs of the first layer stay what they are."""
    network = network_of("membrane")
    stream = Stream(kind="stream", renew_every=20, trust=1e-4, schedule="constant")
    steps = stepper(network, batch=stream)
    renewed: list[list[int]] = [[], []]
    for done in range(45):
        before = [gram_FF.clone() for gram_FF in steps.memory.grams_FF]
        some_steps(steps, [6], 1)
        for layer, gram_FF in enumerate(steps.memory.grams_FF):
            if not before or not torch.equal(gram_FF, before[layer]):
                renewed[layer].append(done)
    early = [0, 1, 3, 7, 15]
    assert renewed == [[*early, 31], [*early, 20, 31, 40]]
