"""The synapses' sums and inverses against explicit patches and materialised operators.

Axes: `T` time step, `B` recording, `F` fan-in, `X` row of fan-ins, `M` input, `N` output.
"""

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import ConvSettings, DenseSettings, NetworkSettings
from pipeline.model import SpikingLayer
from pipeline.training.admm import synapses as module
from pipeline.training.admm.synapses import Synapses

Array = NDArray[np.float64]
NETWORK = NetworkSettings(layers=(DenseSettings(type="dense", units=1),))


def made(settings: ConvSettings | DenseSettings, shape: tuple[int, ...], seed: int) -> Synapses:
    """Return synapses in float64 with drawn weights and biases."""
    generator = torch.Generator().manual_seed(seed)
    fan_in = shape[0] if isinstance(settings, ConvSettings) else math.prod(shape)
    layer = SpikingLayer(settings, fan_in, NETWORK).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(generator=generator)
    return Synapses(layer, shape)


def spikes_of(shape: tuple[int, ...], seed: int, steps: int = 3, recordings: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 1)
    return (torch.rand(steps, recordings, *shape, generator=generator) < 0.4).double()


def residual_of(synapses: Synapses, spikes: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 2)
    like = synapses.drive(spikes).detach()
    return torch.randn(like.shape, generator=generator, dtype=torch.float64)


def patches_XF(synapses: Synapses, spikes: Tensor) -> Array:
    """Return every fan-in by loops, images outermost, then rows, then columns of the output."""
    images = spikes.flatten(0, 1).numpy()
    settings = synapses.layer.settings
    if isinstance(settings, ConvSettings):
        pad, kernel, stride = settings.padding, settings.kernel, settings.stride
        padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        places = [
            (y, x)
            for y in range(0, padded.shape[2] - kernel + 1, stride)
            for x in range(0, padded.shape[3] - kernel + 1, stride)
        ]
        found = [im[:, y : y + kernel, x : x + kernel].ravel() for im in padded for y, x in places]
    else:
        found = [image.ravel() for image in images]
    rows = np.stack(found)
    return rows if synapses.layer.bias is None else np.c_[rows, np.ones(len(rows))]


def residual_XO(residual: Tensor) -> Array:
    """Return residuals in the order of `patches_XF`."""
    images = residual.flatten(0, 1)
    return np.asarray(images.view(*images.shape[:2], -1).mT.reshape(-1, images.shape[1]).numpy())


def matrix_NM(synapses: Synapses) -> Array:
    """Return the operator without its bias, a unit input a column."""
    inputs = math.prod(synapses.input_shape)
    units = torch.eye(inputs, dtype=torch.float64).view(1, inputs, *synapses.input_shape)
    drive = synapses.drive(units) - synapses.drive(torch.zeros_like(units))
    return np.asarray(drive.detach()[0].flatten(1).T.numpy())


@st.composite
def convolutions(draw: Any) -> Synapses:
    kernel, stride, padding = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 4)),
        draw(st.integers(0, 2)),
    )
    least = max(1, kernel - 2 * padding)
    shape = (draw(st.integers(1, 2)), draw(st.integers(least, 6)), draw(st.integers(least, 6)))
    channels, bias = draw(st.integers(1, 3)), draw(st.booleans())
    settings = ConvSettings(
        type="conv", channels=channels, kernel=kernel, stride=stride, padding=padding, bias=bias
    )
    return made(settings, shape, draw(st.integers(0, 999)))


@st.composite
def dense_layers(draw: Any) -> Synapses:
    shape = draw(st.sampled_from([(1,), (2,), (5,), (2, 3, 2)]))
    settings = DenseSettings(type="dense", units=draw(st.integers(1, 7)), bias=draw(st.booleans()))
    return made(settings, shape, draw(st.integers(0, 999)))


@given_settings(deadline=None)
@given(st.one_of(convolutions(), dense_layers()), st.integers(0, 999))
def test_sums_are_those_over_explicit_patches(synapses: Synapses, seed: int) -> None:
    spikes = spikes_of(synapses.input_shape, seed)
    residual = residual_of(synapses, spikes, seed)
    rows, wanted = patches_XF(synapses, spikes), residual_XO(residual)
    np.testing.assert_allclose(synapses.gram(spikes).numpy(), rows.T @ rows, atol=1e-12)
    np.testing.assert_allclose(
        synapses.cross(residual, spikes).numpy(), wanted.T @ rows, atol=1e-12
    )
    assert synapses.places(residual) == len(rows)


@given_settings(deadline=None)
@given(st.one_of(convolutions(), dense_layers()), st.integers(0, 999))
def test_the_patches_are_those_the_drive_is_made_of(synapses: Synapses, seed: int) -> None:
    spikes = spikes_of(synapses.input_shape, seed)
    drive = patches_XF(synapses, spikes) @ synapses.matrix_OF.numpy().T
    np.testing.assert_allclose(residual_XO(synapses.drive(spikes).detach()), drive, atol=1e-12)


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_sums_add_up_over_recordings_and_over_bounded_parts(
    kind: Literal["conv", "dense"], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (2, 5, 6)
    conv = ConvSettings(type="conv", channels=3, kernel=3, stride=2, padding=1, bias=True)
    dense = DenseSettings(type="dense", units=3, bias=True)
    synapses = made(conv if kind == "conv" else dense, shape, 4)
    spikes = spikes_of(shape, 4, steps=3, recordings=5)
    residual = residual_of(synapses, spikes, 4)
    gram, cross = synapses.gram(spikes), synapses.cross(residual, spikes)
    halves = (slice(0, 2), slice(2, 5))
    grams = [synapses.gram(spikes[:, half]) for half in halves]
    crosses = [synapses.cross(residual[:, half], spikes[:, half]) for half in halves]
    torch.testing.assert_close(grams[0] + grams[1], gram, atol=1e-12, rtol=0)
    torch.testing.assert_close(crosses[0] + crosses[1], cross, atol=1e-12, rtol=0)
    monkeypatch.setattr(module, "_WINDOW_BYTES", 1)  # an image at a time
    torch.testing.assert_close(synapses.gram(spikes), gram, atol=1e-12, rtol=0)
    torch.testing.assert_close(synapses.cross(residual, spikes), cross, atol=1e-12, rtol=0)


def test_a_bounded_part_never_holds_more_windows_than_its_bytes() -> None:
    settings = ConvSettings(type="conv", channels=1, kernel=5, stride=1, padding=2)
    synapses = made(settings, (2, 60, 60), 0)
    spikes = spikes_of((2, 60, 60), 0, steps=4, recordings=15)
    parts = list(synapses._rows(spikes))
    assert len(parts) > 1
    assert sum(map(len, parts)) == 60 * 60 * 60
    assert max(part.numel() * part.element_size() for part in parts) <= module._WINDOW_BYTES


@given_settings(deadline=None)
@given(st.one_of(convolutions(), dense_layers()))
def test_weights_survive_the_way_through_the_matrix(synapses: Synapses) -> None:
    before = {key: value.clone() for key, value in synapses.layer.state_dict().items()}
    doubled = 2 * synapses.matrix_OF
    synapses.assign(doubled)
    for key, value in synapses.layer.state_dict().items():
        assert torch.equal(value, 2 * before[key])


@given_settings(deadline=None)
@given(dense_layers(), st.sampled_from([0.01, 0.1, 1.0, 10.0]), st.integers(0, 999))
def test_a_dense_back_solve_is_that_of_the_normal_equations(
    synapses: Synapses, damping: float, seed: int
) -> None:
    """One unit to seven over one input to twelve: both the tall and the wide branch."""
    weight = synapses.layer.weight.detach().numpy()
    residual = residual_of(synapses, spikes_of(synapses.input_shape, seed), seed)
    normal = weight.T @ weight
    normal += damping * np.mean(np.diag(normal)) * np.eye(len(normal))
    expected = np.linalg.solve(normal, weight.T @ residual.flatten(0, 1).numpy().T).T
    found = synapses.back_solved(residual, damping)
    assert found.shape == (*residual.shape[:2], *synapses.input_shape)
    np.testing.assert_allclose(found.flatten(0, 1).flatten(1).numpy(), expected, atol=1e-10)


def scale_of(synapses: Synapses, residual: Tensor) -> float:
    """Return m: every output sees its whole kernel."""
    squares = float(synapses.layer.weight.detach().square().sum())
    return squares * residual[0, 0, 0].numel() / math.prod(synapses.input_shape)


@given_settings(deadline=None)
@given(convolutions(), st.integers(0, 999))
def test_a_convolution_is_undone_by_its_adjoint(synapses: Synapses, seed: int) -> None:
    """Under a huge damping the back-solve is Wᵀr/(γm), and <Wx, r> = <x, Wᵀr>."""
    spikes = spikes_of(synapses.input_shape, seed)
    residual = residual_of(synapses, spikes, seed)
    huge = 1e9
    adjoint = huge * scale_of(synapses, residual) * synapses.back_solved(residual, huge)
    operator = matrix_NM(synapses)
    expected = residual.flatten(0, 1).flatten(1).numpy() @ operator
    np.testing.assert_allclose(adjoint.flatten(0, 1).flatten(1).numpy(), expected, atol=1e-6)
    one = (synapses._linear(spikes.flatten(0, 1)) * residual.flatten(0, 1)).sum()
    torch.testing.assert_close(one, (spikes * adjoint).sum(), atol=1e-5, rtol=1e-6)


@given_settings(deadline=None)
@given(convolutions(), st.sampled_from([0.1, 1.0]), st.integers(0, 999))
def test_conjugate_gradients_are_as_close_as_their_theory_says(
    synapses: Synapses, damping: float, seed: int
) -> None:
    """‖y_k − y‖_M ≤ ‖y‖_M/T_k((λ₁ + λ₂)/(λ₁ − λ₂)) and ‖Wᵀe‖₂ ≤ ‖e‖_M, with M = WWᵀ + γm.

    T_k is the Chebyshev polynomial (Saad 2003, §6.11).
    """
    residual = residual_of(synapses, spikes_of(synapses.input_shape, seed), seed)
    operator, right = matrix_NM(synapses), residual.flatten(0, 1).flatten(1).numpy().T
    damped = operator @ operator.T
    damped += damping * scale_of(synapses, residual) * np.eye(len(damped))
    exact = np.linalg.solve(damped, right)
    error = synapses.back_solved(residual, damping).flatten(0, 1).flatten(1).numpy().T
    error -= operator.T @ exact
    values = np.linalg.eigvalsh(damped)
    spread = (values[-1] + values[0]) / max(values[-1] - values[0], 1e-9 * values[-1])
    bound = np.sqrt(np.einsum("ni,ni->i", exact, right)) / np.cosh(
        module._CG_STEPS * np.arccosh(spread)
    )
    assert (np.linalg.norm(error, axis=0) <= bound + 1e-9).all()


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1), (3, 2)])
def test_many_conjugate_gradients_are_the_exact_solve(
    stride: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ConvSettings(type="conv", channels=3, kernel=3, stride=stride, padding=padding)
    synapses = made(settings, (2, 5, 6), 7)
    residual = residual_of(synapses, spikes_of((2, 5, 6), 7), 7)
    operator = matrix_NM(synapses)
    normal = operator.T @ operator
    normal += 0.1 * scale_of(synapses, residual) * np.eye(len(normal))
    right = operator.T @ residual.flatten(0, 1).flatten(1).numpy().T
    monkeypatch.setattr(module, "_CG_STEPS", 200)
    found = synapses.back_solved(residual, 0.1).flatten(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(found, np.linalg.solve(normal, right).T, atol=1e-10)


def test_the_mean_of_the_diagonal_is_exact_without_padding() -> None:
    settings = ConvSettings(type="conv", channels=3, kernel=3, stride=2)
    synapses = made(settings, (2, 7, 9), 3)
    residual = residual_of(synapses, spikes_of((2, 7, 9), 3), 3)
    operator = matrix_NM(synapses)
    assert scale_of(synapses, residual) == pytest.approx(np.mean(np.sum(operator**2, 0)))


def test_a_silent_layer_is_asked_for_nothing() -> None:
    settings = ConvSettings(type="conv", channels=2, kernel=3, padding=1)
    synapses = made(settings, (1, 4, 4), 0)
    residual = torch.zeros(2, 3, 2, 4, 4, dtype=torch.float64)
    assert torch.equal(synapses.back_solved(residual, 0.1), torch.zeros(2, 3, 1, 4, 4).double())
