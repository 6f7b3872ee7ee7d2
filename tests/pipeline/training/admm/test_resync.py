"""A whole step's sums against the same step written down in plain numpy with dense solves.

Axes: `T` time step, `B` recording, `K` class, `N` neuron, `F` fan-in.
"""

from typing import Literal, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from export.network import Readout
from pipeline.config import ConvSettings, DenseSettings, NetworkSettings
from pipeline.model import SpikingNetwork
from pipeline.training.admm.exchange import Alone
from pipeline.training.admm.resync import Sums, asked_of_layers, gathered, measured
from pipeline.training.admm.settings import ADMM, CrossEntropy, Exact, Ramp, Squared
from pipeline.training.admm.stack import Stack

Array = NDArray[np.float64]
Reset = Literal["hard", "soft"]
ResetTerm = Literal["granted", "asked", "none"]
RESET_TERMS: tuple[ResetTerm, ...] = ("granted", "asked", "none")
SHAPE = (1, 3, 4)
THRESHOLD, DECAY = 0.5, 0.8


def stack_of(
    readout: Readout, reset: Reset, bias: bool, seed: int, conv: bool = False, steps: int = 6
) -> Stack:
    """Return two hidden layers in float64; a hidden convolution where asked."""
    dense = DenseSettings(type="dense", units=5, bias=bias)
    first = ConvSettings(type="conv", channels=3, kernel=2, padding=1, bias=bias)
    last = DenseSettings(type="dense", units=3, bias=bias)
    layers = (first if conv else dense, first if conv else dense, last)
    settings = NetworkSettings(layers=layers, readout=readout, tau=DECAY, threshold=THRESHOLD)
    network = SpikingNetwork(settings, SHAPE, ("a", "b", "c")).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.05, 0.5, generator=generator)
    return Stack(network, steps, reset)


def batch_of(seed: int, steps: int = 6, recordings: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed + 1)
    spikes = (torch.rand(steps, recordings, *SHAPE, generator=generator) < 0.4).double()
    return spikes, torch.randint(0, 3, (recordings,), generator=generator)


class Plain(NamedTuple):
    """What numpy finds: an entry a spiking layer, from the first."""

    grams: list[Array]
    crosses: list[Array]
    features: Array | None
    targets: Array | None


def plain_forward(x: Array, weight: Array, bias: Array, reset: Reset) -> tuple[Array, Array]:
    z = np.zeros((*x.shape[:2], len(weight)))
    a = np.zeros_like(z)
    for t in range(len(x)):
        z[t] = x[t] @ weight.T + bias
        if t and reset == "hard":
            z[t] += DECAY * z[t - 1] * (1 - a[t - 1])
        elif t:
            z[t] += DECAY * z[t - 1] - THRESHOLD * a[t - 1]
        a[t] = z[t] > THRESHOLD
    return z, a


def plain_ramp(z: Array, a: Array, asked: Array, reset: Reset, ramp: Ramp) -> Array:
    """Return r of one neuron from dense matrices: least squares in Δz."""
    steps = len(z)
    shift, carry = np.eye(steps), np.zeros((steps, steps))
    for t in range(1, steps):
        shift[t, t - 1] = -DECAY * (1 - a[t - 1]) if reset == "hard" else -DECAY
        carry[t, t - 1] = DECAY * z[t - 1] if reset == "hard" else THRESHOLD
    inside = np.diag((np.abs(z - THRESHOLD) < ramp.window / 2).astype(np.float64))
    if ramp.reset_term == "granted":
        shift = shift + carry @ inside / ramp.window
    if ramp.reset_term != "asked":
        carry = np.zeros_like(carry)
    price = np.sqrt(ramp.slack)
    system = np.vstack([shift, price * inside])
    right = np.concatenate([-carry @ asked, price * ramp.window * asked])
    change = np.linalg.lstsq(system, right, rcond=None)[0]
    return np.asarray((shift @ change + carry @ asked) / ramp.slack)


def back_solve(weight: Array, residual: Array, damping: float) -> Array:
    normal = weight.T @ weight
    normal += damping * np.mean(np.diag(normal)) * np.eye(len(normal))
    return np.asarray(
        np.linalg.solve(normal, np.einsum("of,tbo->ftb", weight, residual).reshape(len(normal), -1))
        .reshape(len(normal), *residual.shape[:2])
        .transpose(1, 2, 0)
    )


def plain(stack: Stack, spikes: Tensor, labels_B: Tensor, settings: ADMM, reset: Reset) -> Plain:
    layers = [*stack.synapses, stack.readout] if stack.readout is not None else stack.synapses
    weights = [s.layer.weight.detach().numpy() for s in layers]
    biases = [
        np.zeros(len(w)) if s.layer.bias is None else s.layer.bias.detach().numpy()
        for s, w in zip(layers, weights, strict=True)
    ]
    x, hidden = [spikes.flatten(2).numpy()], len(stack.synapses)
    membranes = []
    for weight, bias in zip(weights[:hidden], biases[:hidden], strict=True):
        z, a = plain_forward(x[-1], weight, bias, reset)
        membranes.append(z)
        x.append(a)
    steps, onehot = len(spikes), np.eye(3)[labels_B.numpy()]
    features = targets = None
    if stack.readout is not None:
        powers = DECAY ** np.arange(steps - 1, -1, -1.0)
        features = np.einsum("t,tbn->bn", powers, x[-1])
        away = onehot - features @ weights[-1].T - powers.sum() * biases[-1]
        asked = powers[:, None, None] / (powers @ powers) * away
        asked = back_solve(weights[-1], asked, settings.output_damping)
        if stack.readout.layer.bias is not None:
            features = np.c_[features, np.full(len(features), powers.sum())]
        targets = onehot.T @ features
        features = features.T @ features
    else:
        away = settings.target * steps * onehot - x[-1].sum(0)
        asked = np.repeat(away[None] / steps, steps, 0)
    grams: list[Array] = []
    crosses: list[Array] = []
    for layer in reversed(range(hidden)):
        assert isinstance(settings.membrane, Ramp)
        r = np.zeros_like(asked)
        for b, n in np.ndindex(asked.shape[1:]):
            z, a = membranes[layer][:, b, n], x[layer + 1][:, b, n]
            r[:, b, n] = plain_ramp(z, a, asked[:, b, n], reset, settings.membrane)
        below = x[layer].reshape(-1, x[layer].shape[2])
        if stack.synapses[layer].layer.bias is not None:
            below = np.c_[below, np.ones(len(below))]
        grams.insert(0, below.T @ below)
        crosses.insert(0, r.reshape(-1, r.shape[2]).T @ below)
        asked = back_solve(weights[layer], r, settings.damping)
    return Plain(grams, crosses, features, targets)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("readout", ["membrane", "count"])
@given_settings(deadline=None, max_examples=15)
@given(
    st.integers(0, 9999),
    st.booleans(),
    st.sampled_from([0.1, 1.0]),
    st.floats(0.3, 3.0),
    st.sampled_from(RESET_TERMS),
)
def test_the_sums_are_those_of_plain_numpy(
    readout: Readout,
    reset: Reset,
    seed: int,
    bias: bool,
    damping: float,
    window: float,
    term: ResetTerm,
) -> None:
    stack, batch = stack_of(readout, reset, bias, seed), batch_of(seed)
    ramp = Ramp(kind="ramp", window=window, slack=0.2, reset_term=term)
    settings = ADMM(method="admm", reset=reset, membrane=ramp, damping=damping, target=0.4)
    expected = plain(stack, *batch, settings, reset)
    with torch.inference_mode():
        found = gathered(stack, *batch, settings, range(len(stack.synapses)))
    for mine, others in zip(found.gram_FF, expected.grams, strict=True):
        np.testing.assert_allclose(mine.numpy(), others, atol=1e-10)
    for mine, others in zip(found.cross_OF, expected.crosses, strict=True):
        np.testing.assert_allclose(mine.numpy(), others, atol=1e-8, rtol=1e-8)
    assert found.places == [24] * len(stack.synapses)
    if readout == "membrane":
        assert found.features_FF is not None
        assert found.targets_KF is not None
        assert expected.features is not None
        assert expected.targets is not None
        np.testing.assert_allclose(found.features_FF.numpy(), expected.features, atol=1e-10)
        np.testing.assert_allclose(found.targets_KF.numpy(), expected.targets, atol=1e-10)


VARIANTS = {
    "ramp": ADMM(method="admm"),
    "exact": ADMM(method="admm", membrane=Exact(kind="exact", flips=0.05)),
    "cross-entropy": ADMM(method="admm", labels=CrossEntropy(kind="cross-entropy")),
}


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("readout", ["membrane", "count"])
@pytest.mark.parametrize("conv", [False, True])
def test_sums_of_parts_of_a_batch_add_up(conv: bool, readout: Readout, settings: ADMM) -> None:
    stack, (spikes, labels_B) = stack_of(readout, "hard", True, 3, conv), batch_of(3, recordings=9)
    with torch.inference_mode():
        whole = gathered(stack, spikes, labels_B, settings, range(len(stack.synapses)))
        parts = [
            gathered(stack, spikes[:, part], labels_B[part], settings, range(len(stack.synapses)))
            for part in (slice(0, 4), slice(4, 9))
        ]
        parts[0].add(parts[1])
    for mine, others in zip(parts[0].tensors(), whole.tensors(), strict=True):
        assert mine.any()
        torch.testing.assert_close(mine, others, atol=1e-11, rtol=1e-11)
    assert parts[0].places == whole.places
    assert (parts[0].recordings, parts[0].correct) == (whole.recordings, whole.correct)
    assert parts[0].mismatch == pytest.approx(whole.mismatch)


def test_what_is_asked_of_the_last_layer_moves_the_evidence_as_asked() -> None:
    """With little damping, Σ_t δ^(T−t) W Δa[t] = Δf where features outnumber the classes."""
    stack, (spikes, _) = stack_of("membrane", "hard", False, 1), batch_of(1)
    settings = ADMM(method="admm", output_damping=1e-9)
    change_BK = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
    assert stack.readout is not None
    with torch.inference_mode():
        done = stack.forward(spikes)
        last = next(asked_of_layers(stack, done, change_BK, settings))
        moved = torch.einsum("t,tbf->bf", stack.weights_T, last.spikes)
        torch.testing.assert_close(
            moved @ stack.readout.layer.weight.T, change_BK, atol=1e-6, rtol=1e-6
        )


def test_layers_are_asked_from_the_last_to_the_first() -> None:
    stack, (spikes, _) = stack_of("count", "hard", False, 2), batch_of(2)
    with torch.inference_mode():
        done = stack.forward(spikes)
        asked = list(asked_of_layers(stack, done, torch.ones(4, 3).double(), VARIANTS["ramp"]))
    assert [one.layer for one in asked] == [2, 1, 0]
    for one in asked:
        shape = done.states[one.layer].spikes.shape
        assert one.spikes.shape == one.membranes.shape == one.drive.shape == shape


@pytest.mark.parametrize("labels", [Squared(kind="squared"), CrossEntropy(kind="cross-entropy")])
def test_measures_count_what_is_right(labels: Squared | CrossEntropy) -> None:
    stack, (spikes, labels_B) = stack_of("membrane", "hard", True, 5), batch_of(5, recordings=20)
    settings = ADMM(method="admm", labels=labels)
    with torch.inference_mode():
        done = stack.forward(spikes)
        sums = measured(stack, done, labels_B, settings)
    evidence, onehot = done.evidence_BK.numpy(), np.eye(3)[labels_B.numpy()]
    assert (sums.recordings, sums.cross_OF, sums.gram_FF) == (20, [], [])
    assert sums.correct == (evidence.argmax(1) == labels_B.numpy()).sum()
    shares = np.exp(8 * evidence) / np.exp(8 * evidence).sum(1, keepdims=True)
    squared = ((evidence - onehot) ** 2).sum()
    expected = squared if labels.kind == "squared" else -(onehot * np.log(shares)).sum()
    assert sums.mismatch == pytest.approx(expected)


def test_a_single_process_adds_nothing_up() -> None:
    sums = Sums(cross_OF=[torch.ones(2, 2)], places=[3.0], recordings=4, correct=2, mismatch=0.5)
    sums.add_up(Alone())
    assert torch.equal(sums.cross_OF[0], torch.ones(2, 2))
    assert (sums.recordings, sums.correct, sums.mismatch, sums.places) == (4, 2, 0.5, [3.0])
