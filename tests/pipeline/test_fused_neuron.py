"""The compiled time loop against torch's, and against its own number of threads."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from pipeline import neuron
from pipeline.fused_neuron import Constants, Rows, rows
from pipeline.neuron import Activation, Forward, lif

CHANNELS_LAST = torch.channels_last


def drive(shape: tuple[int, ...], seed: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if len(shape) == 5:
        return values.flatten(0, 1).contiguous(memory_format=CHANNELS_LAST).view(shape)
    return values


def outcome(
    inputs: Tensor, decay: float, threshold: float, activation: Activation
) -> tuple[Tensor, Tensor]:
    """Return spikes and the gradient of a weighted sum of them."""
    inputs = inputs.detach().clone().requires_grad_()
    spikes = lif(inputs, decay, threshold, activation)
    weights = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(9)).to(inputs)
    (grad,) = torch.autograd.grad((spikes * weights).sum(), inputs)
    return spikes.detach(), grad


@settings(deadline=None)  # the first example compiles
@given(
    st.integers(0, 10_000),
    st.integers(1, 9),
    st.sampled_from(["smooth", "hard"]),
    st.floats(0.1, 1.0),
    st.floats(0.1, 2.0),
    st.floats(0.5, 25.0),
)
def test_the_compiled_loop_is_torchs_within_rounding(
    seed: int, steps: int, forward: Forward, decay: float, threshold: float, slope: float
) -> None:
    """float64 goes through torch; a hard spike may differ where u is within rounding of ϑ."""
    inputs = drive((steps, 3, 2, 5, 4), seed)
    activation = Activation("sigmoid", slope, forward)
    spikes, grad = outcome(inputs, decay, threshold, activation)
    exact_spikes, exact_grad = outcome(inputs.double(), decay, threshold, activation)
    tolerance = 2e-5 * max(1.0, slope)
    if forward == "hard" and not torch.equal(spikes.double(), exact_spikes):
        assert (spikes.double() != exact_spikes).float().mean() < 0.02
        return
    torch.testing.assert_close(spikes.double(), exact_spikes, atol=tolerance, rtol=1e-4)
    scale = float(exact_grad.abs().max()) + 1
    torch.testing.assert_close(grad.double(), exact_grad, atol=tolerance * scale, rtol=1e-3)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_no_bit() -> None:
    inputs, activation = drive((4, 9, 3001), 1), Activation("sigmoid", 3.0, "smooth")
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(outcome(inputs, 0.9, 1.0, activation))
    for spikes, grad in found[1:]:
        assert torch.equal(spikes, found[0][0])
        assert torch.equal(grad, found[0][1])


def test_a_membrane_that_is_not_a_number_stays_so() -> None:
    inputs = torch.tensor([[float("nan"), 1.0]])
    spikes = lif(inputs, 0.9, 1.0, Activation("sigmoid", 2.0, "smooth"))
    assert spikes.isnan().tolist() == [[True, False]]


@pytest.mark.parametrize("layout", ["first", "last"])
def test_a_network_in_training_goes_through_the_compiled_loop(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def noted(name: str) -> None:
        kernel = getattr(neuron, name)

        def noting(arrays: Sequence[Rows], constants: Constants) -> None:
            calls.append(name)
            kernel(arrays, constants)

        monkeypatch.setattr(neuron, name, noting)

    noted("fire")
    noted("fire_backward")
    images = torch.rand(6, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    if layout == "last":
        images = images.contiguous(memory_format=CHANNELS_LAST)
    weight = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    weight.requires_grad_()
    drive_TBN = functional.conv2d(images, weight).view(3, 2, 3, 7, 7)
    spikes = lif(drive_TBN, 0.9, 0.5, Activation("sigmoid", 3.0, "smooth"))
    torch.autograd.grad(spikes.sum(0).square().sum(), weight)
    assert calls == ["fire", "fire_backward"]


def test_a_gradient_in_another_order_of_memory_gives_the_same() -> None:
    inputs, activation = drive((3, 2, 4, 5, 6), 2), Activation("sigmoid", 3.0, "smooth")
    found = []
    for order in ("same", "transposed"):
        leaf = inputs.detach().clone().requires_grad_()
        spikes = lif(leaf, 0.9, 0.5, activation)
        weights = torch.arange(float(spikes.numel())).view(spikes.shape).sin()
        if order == "transposed":
            weights = weights.transpose(3, 4).contiguous().transpose(3, 4)
        spikes.backward(weights)  # type: ignore[no-untyped-call]
        assert leaf.grad is not None
        found.append(leaf.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, 4).T,
        torch.zeros(3, 8)[:, ::2],
        torch.zeros(3, 4, dtype=torch.float64),
        torch.zeros(1, 4).expand(3, 4),
    ],
)
def test_memory_that_is_not_dense_float32_is_left_to_torch(tensor: Tensor) -> None:
    assert rows(tensor) is None
    activation = Activation("sigmoid", 2.0, "smooth")
    expected = lif(tensor.double().contiguous(), 0.9, 1.0, activation)
    torch.testing.assert_close(lif(tensor, 0.9, 1.0, activation).double(), expected)
