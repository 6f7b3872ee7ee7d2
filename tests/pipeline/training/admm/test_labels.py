"""The output step against generic optimisers.

Axes: `T` time step, `B` recording, `K` class.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize

from pipeline.neuron import integrate
from pipeline.training.admm.labels import asked_evidence, mismatch, readout_weights
from pipeline.training.admm.settings import CrossEntropy, Squared

Array = NDArray[np.float64]


def evidence(seed: int, size: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return evidence `(4, 3)` in float64 and labels."""
    generator = torch.Generator().manual_seed(seed)
    values = size * torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return values, torch.randint(0, 3, (4,), generator=generator)


def wanted(labels_B: torch.Tensor, high: float) -> Array:
    return np.asarray(high * np.eye(3)[labels_B.numpy()])


def cross_entropy(logits_K: Array, label: int) -> float:
    top = logits_K.max()
    return float(top + np.log(np.exp(logits_K - top).sum()) - logits_K[label])


@given(st.integers(0, 9999), st.floats(0, 20), st.floats(0.5, 20), st.floats(0.1, 5))
def test_squared_error_is_minimised(seed: int, penalty: float, energy: float, high: float) -> None:
    evidence_BK, labels_B = evidence(seed)
    change = asked_evidence(
        evidence_BK, labels_B, Squared(kind="squared", penalty=penalty), energy, high
    )
    goal, price = wanted(labels_B, high), penalty / (2 * energy)

    def objective(flat: Array) -> float:
        moved = flat.reshape(4, 3)
        away = evidence_BK.numpy() + moved - goal
        return float((away**2).sum() + price * (moved**2).sum())

    best = optimize.minimize(objective, np.zeros(12), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(change.numpy().ravel(), best.x, atol=1e-5)


@given(st.integers(0, 9999), st.floats(0, 20), st.floats(0.3, 1.0), st.integers(1, 9))
def test_squared_error_spreads_over_the_steps_at_least_cost(
    seed: int, penalty: float, decay: float, steps: int
) -> None:
    """Over the output's drive r, one problem: ‖f + Σ δ^(T−t) r[t] − y‖² + (ρ_L/2)‖r‖²."""
    evidence_BK, labels_B = evidence(seed)
    weights_T = readout_weights(steps, decay, evidence_BK)
    energy = float(weights_T.square().sum())
    change = asked_evidence(
        evidence_BK, labels_B, Squared(kind="squared", penalty=penalty), energy, 1
    )
    spread = (weights_T / energy).view(-1, 1, 1) * change
    system = np.vstack([weights_T.numpy()[None], np.sqrt(penalty / 2) * np.eye(steps)])
    for b, k in np.ndindex(4, 3):
        right = np.zeros(steps + 1)
        right[0] = wanted(labels_B, 1)[b, k] - float(evidence_BK[b, k])
        best = np.linalg.lstsq(system, right, rcond=None)[0]
        np.testing.assert_allclose(spread[:, b, k].numpy(), best, atol=1e-10)


@given_settings(deadline=None, max_examples=40)
@given(st.integers(0, 9999), st.floats(0.01, 30), st.floats(0.1, 20), st.floats(0.2, 10))
def test_proximal_cross_entropy_is_minimised(
    seed: int, penalty: float, scale: float, high: float
) -> None:
    evidence_BK, labels_B = evidence(seed, high)
    settings = CrossEntropy(kind="cross-entropy", penalty=penalty, scale=scale)
    change = asked_evidence(evidence_BK, labels_B, settings, 1.0, high)
    for now, label, found in zip(evidence_BK.numpy(), labels_B.tolist(), change, strict=True):

        def objective(moved: Array, now: Array = now, label: int = label) -> float:
            loss = cross_entropy(scale / high * (now + moved), label)
            return float(loss + penalty / 2 * moved @ moved)

        def slope(moved: Array, now: Array = now, label: int = label) -> Array:
            logits = scale / high * (now + moved)
            share = np.exp(logits - logits.max())
            share = share / share.sum() - np.eye(3)[label]
            return np.asarray(scale / high * share + penalty * moved)

        best = optimize.minimize(
            objective, np.zeros(3), jac=slope, method="BFGS", options={"gtol": 1e-10}
        )
        # The objective bends by at least the penalty: ‖x − x*‖ ≤ ‖slope‖/ρ, the gap ‖slope‖²/(2ρ).
        small = 2e-6 * scale / high
        assert np.linalg.norm(slope(found.numpy())) <= small
        assert objective(found.numpy()) <= best.fun + small**2 / (2 * penalty) + 1e-12
        away = float(np.linalg.norm(found.numpy() - best.x))
        assert away <= (np.linalg.norm(best.jac) + small) / penalty + 1e-12


@pytest.mark.parametrize("size", [0.0, 1.0, 100.0, 1e4])
def test_cross_entropy_in_single_precision_and_far_off(size: float) -> None:
    """Far beyond float32's resolution of the loss it still ends, close to the double's answer."""
    evidence_BK, labels_B = evidence(3, size)
    settings = CrossEntropy(kind="cross-entropy", penalty=0.5, scale=8.0)
    double = asked_evidence(evidence_BK, labels_B, settings, 1.0, 1.0)
    single = asked_evidence(evidence_BK.float(), labels_B, settings, 1.0, 1.0)
    assert torch.isfinite(single).all()
    torch.testing.assert_close(single.double(), double, atol=1e-4 * (1 + size), rtol=1e-4)


def test_cross_entropy_asks_for_what_sums_to_zero() -> None:
    """The slope of a softmax sums to zero over the classes, so that the change does."""
    evidence_BK, labels_B = evidence(1)
    settings = CrossEntropy(kind="cross-entropy", penalty=2.0, scale=5.0)
    change = asked_evidence(evidence_BK, labels_B, settings, 1.0, 1.0)
    torch.testing.assert_close(change.sum(1), torch.zeros(4, dtype=torch.float64))
    right = torch.nn.functional.one_hot(labels_B, 3).bool()
    assert (change[right] > 0).all()
    assert (change[~right] < 0).all()


@given(st.integers(0, 9999), st.floats(0.1, 1.0), st.integers(1, 12))
def test_the_readout_weights_are_the_membrane_after_the_last_step(
    seed: int, decay: float, steps: int
) -> None:
    drive = torch.randn(steps, 2, 3, generator=torch.Generator().manual_seed(seed)).double()
    weights_T = readout_weights(steps, decay, drive)
    summed = torch.einsum("t,tbk->bk", weights_T, drive)
    torch.testing.assert_close(summed, integrate(drive, decay)[-1], atol=1e-12, rtol=1e-12)


def test_the_mismatch_is_the_label_term() -> None:
    evidence_BK, labels_B = evidence(2)
    squared = ((evidence_BK.numpy() - wanted(labels_B, 3.0)) ** 2).sum()
    assert mismatch(evidence_BK, labels_B, Squared(kind="squared"), 3.0) == pytest.approx(squared)
    pairs = zip(evidence_BK.numpy(), labels_B.tolist(), strict=True)
    entropy = sum(cross_entropy(8 / 3 * row, label) for row, label in pairs)
    settings = CrossEntropy(kind="cross-entropy", scale=8.0)
    assert mismatch(evidence_BK, labels_B, settings, 3.0) == pytest.approx(entropy)
