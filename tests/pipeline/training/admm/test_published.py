"""The published iteration against its own objective, written out as one plain function.

Axes: `T` time step, `B` recording, `N` neuron, `K` class, `F` input.

Every block's update is compared with a minimiser that knows no more than values of that function:
least squares on its exact differences where it is quadratic, a bounded scalar search on both sides
of the threshold for a hidden membrane.
"""

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.optimize import lsq_linear, minimize, minimize_scalar
from torch import Tensor

from export.errors import HardspikeError
from pipeline.config import ConvSettings, DenseSettings, NetworkSettings
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork
from pipeline.training.admm.membrane import Neuron
from pipeline.training.admm.published import PublishedIteration
from pipeline.training.admm.published_updates import SpikeUpdate, hidden_membranes
from pipeline.training.admm.settings import ADMM, Published

F64 = NDArray[np.float64]
CLASSES = ("a", "b", "c")
STEPS, RECORDINGS, INPUTS = 4, 5, 4


@dataclass
class Variables:
    """All variables of the iteration as arrays, and what the objective is made of."""

    weights: list[F64]
    membranes: list[F64]
    spikes: list[F64]
    multiplier: F64
    inputs: F64
    wanted: F64
    decays: list[float]
    thresholds: list[float]
    rho: float
    beta: float


def objective(v: Variables, only: int | None = None) -> float:
    """Return the augmented objective, term by term as it is written; of one recording if asked."""
    layers, (steps, recordings) = len(v.weights), v.inputs.shape[:2]
    total = 0.0
    for b in range(recordings) if only is None else [only]:
        for layer in range(layers):
            z, below = v.membranes[layer], v.spikes[layer - 1] if layer else v.inputs
            for t in range(steps):
                residual = z[t, b] - v.weights[layer] @ below[t, b]
                if t:
                    residual = residual - v.decays[layer] * z[t - 1, b]
                if layer < layers - 1 and t:
                    residual = residual + v.thresholds[layer] * v.spikes[layer][t - 1, b]
                total += v.rho / 2 * float(residual @ residual)
                if layer < layers - 1:
                    off = v.spikes[layer][t, b] - (z[t, b] > v.thresholds[layer])
                    total += v.beta / 2 * float(off @ off)
                elif t == steps - 1:
                    total += float(v.multiplier[b] @ residual)
                    total += float((z[t, b] - v.wanted[b]) @ (z[t, b] - v.wanted[b]))
    return total


def quadratic_minimiser(value: Callable[[F64], float], count: int) -> F64:
    """Return the minimiser of least norm of a quadratic, from its values alone."""
    unit = np.eye(count)
    here = value(np.zeros(count))
    ahead = [value(one) for one in unit]
    slope = np.array([(ahead[i] - value(-unit[i])) / 2 for i in range(count)])
    bend = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1):
            bend[i, j] = bend[j, i] = value(unit[i] + unit[j]) - ahead[i] - ahead[j] + here
    solution: F64 = np.linalg.lstsq(bend, -slope, rcond=1e-9)[0]
    return solution


def in_place(v: Variables, block: F64, only: int | None = None) -> Callable[[F64], float]:
    """Return the objective as a function of one block, a view into `v`."""

    def value(x: F64) -> float:
        before = block.copy()
        block[...] = x.reshape(block.shape)
        result = objective(v, only)
        block[...] = before
        return result

    return value


def solve_block(v: Variables, block: F64, only: int | None = None) -> None:
    block[...] = quadratic_minimiser(in_place(v, block, only), block.size).reshape(block.shape)


def scalar(value: Callable[[F64], float]) -> Callable[[float], float]:
    return lambda x: value(np.array([x]))


def best_side(value: Callable[[float], float], threshold: float) -> float:
    """Return the best point of either side of the threshold, the open side from ϑ + 1e-5."""
    sides = (threshold - 50, threshold), (threshold + 1e-5, threshold + 50)
    found = [minimize_scalar(value, bounds=side, options={"xatol": 1e-11}).x for side in sides]
    return float(min(*found, *sides[0], *sides[1], key=value))


def solved_pass(v: Variables, layers: Sequence[int], steps: Sequence[int]) -> None:
    """Take the pass by general solvers, block by block in the published order."""
    last = len(v.membranes[0]) - 1
    for layer in layers:
        solve_block(v, v.weights[layer])
        for t in (*steps, last):
            for b in range(v.inputs.shape[1]):
                solve_block(v, v.spikes[layer][t, b], b)
            np.clip(v.spikes[layer][t], 0, 1, out=v.spikes[layer][t])
            for b, n in np.ndindex(v.membranes[layer][t].shape):
                cell = v.membranes[layer][t, b, n : n + 1]
                cell[0] = best_side(scalar(in_place(v, cell, b)), v.thresholds[layer])
    solve_block(v, v.weights[-1])
    for t in (*steps, last):
        for b in range(v.inputs.shape[1]):
            solve_block(v, v.membranes[-1][t, b], b)
    gap = v.membranes[-1][last] - v.spikes[-1][last] @ v.weights[-1].T
    v.multiplier += v.rho * (gap - v.decays[-1] * v.membranes[-1][last - 1])


def network_settings(*sizes: int, **general: Any) -> NetworkSettings:
    layers = [
        DenseSettings(type="dense", units=size, tau=tau, threshold=threshold)
        for size, tau, threshold in zip(sizes, (0.8, 0.7, 0.9), (0.6, 0.5, 1.0), strict=False)
    ]
    return NetworkSettings(layers=tuple(layers), readout="membrane", **general)


def recordings(
    seed: int, count: int = RECORDINGS, steps: int = STEPS, inputs: int = INPUTS
) -> Dataset:
    """Return random spikes; the last input is silent, so that its weights are not determined."""
    generator = np.random.default_rng(seed)
    spikes = (generator.random((count, steps, 1, 1, inputs)) < 0.5).astype(np.uint8)
    spikes[..., -1] = 0
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    return Dataset(spikes, labels, CLASSES, tuple(map(str, range(count))))


def admm(chunk: int = 2, **published: Any) -> ADMM:
    return ADMM(
        method="admm",
        variant="published",
        reset="soft",
        chunk=chunk,
        published=Published(**published),
    )


def iteration(
    seed: int,
    settings: ADMM,
    sizes: tuple[int, ...] = (3, 4, 3),
    dtype: torch.dtype = torch.float64,
) -> PublishedIteration:
    network = SpikingNetwork(network_settings(*sizes), (1, 1, INPUTS), CLASSES).to(dtype)
    network.reset_parameters(seed)
    return PublishedIteration(network, recordings(seed), settings, seed)


def variables(found: PublishedIteration, data: Dataset) -> Variables:
    state = {key: value.numpy().copy() for key, value in found.tensors().items()}
    count = len(found.neurons)
    published = found.settings.published
    return Variables(
        [synapses.matrix_OF.numpy().copy() for synapses in found.synapses],
        [state[f"membranes.{index}"] for index in range(count)],
        [state[f"spikes.{index}"] for index in range(count - 1)],
        state["multiplier"],
        data.spikes_BTCHW.reshape(*data.spikes_BTCHW.shape[:2], -1).swapaxes(0, 1).astype(float),
        np.eye(len(CLASSES))[data.labels_B],
        [neuron.decay for neuron in found.neurons],
        [neuron.threshold for neuron in found.neurons],
        published.rho,
        published.beta,
    )


def order_of(seed: int, index: int, layers: int) -> tuple[list[int], list[int]]:
    generator = np.random.default_rng((seed, 1, index))
    return generator.permutation(layers).tolist(), generator.permutation(STEPS - 1).tolist()


@pytest.mark.parametrize("order", ["forward", "random"])
def test_a_pass_is_what_general_solvers_find_block_by_block(order: str) -> None:
    """The second pass starts from what the first left, λ included."""
    found = iteration(3, admm(rho=0.7, beta=0.4, warming=0, order=order))
    expected = variables(found, recordings(3))
    for weights in expected.weights:
        weights[...] = 0
    for index in range(2):
        layers, steps = order_of(3, index, 2) if order == "random" else (range(2), range(STEPS - 1))
        solved_pass(expected, layers, steps)
        curves = found.step()
        got = variables(found, recordings(3))
        assert np.abs(got.multiplier).max() > 0.1
        for name in ("weights", "membranes", "spikes"):
            for mine, theirs in zip(getattr(got, name), getattr(expected, name), strict=True):
                np.testing.assert_allclose(mine, theirs, atol=2e-6, err_msg=f"{name}, {index}")
        np.testing.assert_allclose(got.multiplier, expected.multiplier, atol=2e-6)
        assert curves["objective"] * RECORDINGS == pytest.approx(objective(got), abs=1e-9)
        expected = copy.deepcopy(got)  # rounding of the solvers must not add up


def test_no_search_finds_weights_or_output_membranes_that_are_better() -> None:
    """The last blocks of a pass: nothing is changed after them that they depend on."""
    found = iteration(4, admm(rho=2.0, beta=0.5, warming=9))
    found.step()
    found.step()
    v = variables(found, recordings(4))
    last = v.membranes[-1][-1]
    value, here = in_place(v, last), objective(v)
    assert minimize(value, last.ravel(), method="BFGS").fun >= here - 1e-9
    assert minimize(value, last.ravel() + 1, method="BFGS").fun == pytest.approx(here, abs=1e-8)
    weights = v.weights[0].copy()
    found.settings = admm(rho=2.0, beta=0.5, warming=9, order="forward")
    found.step()
    before = variables(found, recordings(4))
    v.weights[0][...] = before.weights[0]
    assert not np.allclose(weights, v.weights[0])
    fun = minimize(in_place(v, v.weights[0]), weights.ravel(), method="BFGS").fun
    assert objective(v) <= fun + 1e-8


states = st.floats(-3, 3, allow_nan=False, width=32)


@given(
    q=states,
    r=st.none() | states,
    a=st.floats(0, 1),
    rho=st.floats(0.05, 5),
    beta=st.floats(0.05, 5),
    decay=st.floats(0.1, 1),
    threshold=st.floats(0.1, 2),
)
def test_a_hidden_membrane_is_the_better_side_of_the_threshold(
    q: float, r: float | None, a: float, rho: float, beta: float, decay: float, threshold: float
) -> None:
    def value(z: float) -> float:
        later = 0.0 if r is None else (r - decay * z + threshold * a) ** 2
        return rho / 2 * ((z - q) ** 2 + later) + beta / 2 * (a - (z > threshold)) ** 2

    neuron, weights = Neuron(decay, threshold, "soft"), Published(rho=rho, beta=beta)
    later = None if r is None else row(r)
    z = float(hidden_membranes(row(q), later, row(a), neuron, weights))
    assert value(z) <= value(best_side(value, threshold)) + 1e-4 * (rho + beta)
    assert z == pytest.approx(literal(q, r, a, neuron, weights), abs=1e-12)


def literal(q: float, r: float | None, a: float, neuron: Neuron, weights: Published) -> float:
    """The branch as published, Δ2 with all its squares."""
    decay, threshold, rho = neuron.decay, neuron.threshold, weights.rho
    z = q if r is None else (q + decay * (r + threshold * a)) / (1 + decay**2)
    first = weights.beta * (1 - 2 * a)
    second = (z - q) ** 2 - (threshold - q) ** 2
    if r is not None:
        second += (r - decay * z + threshold * a) ** 2
        second -= (r - decay * threshold + threshold * a) ** 2
    second *= rho
    # Both forms of Δ2 round; what lies within rounding of the branch may go either way.
    assume(min(abs(first + second), abs(second - first), abs(z - threshold)) > 1e-9)
    if z > threshold:
        return threshold if first + second > 0 else z
    return threshold + 1e-5 if second - first > 0 else z


def row(value: float) -> Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 1.0, 777.7])
def test_a_moved_membrane_is_on_the_side_it_was_moved_to(
    dtype: torch.dtype, threshold: float
) -> None:
    neuron, weights = Neuron(0.9, threshold, "soft"), Published(rho=1.0, beta=10.0)
    pulled = torch.tensor([[threshold + 0.1, threshold - 0.1]], dtype=dtype)
    spikes = torch.tensor([[0.0, 1.0]], dtype=dtype)
    z = hidden_membranes(pulled, None, spikes, neuron, weights)
    assert (z > threshold).tolist() == [[False, True]]
    assert torch.allclose(z, torch.full_like(z, threshold), rtol=1e-6, atol=2e-5)


def test_to_fire_the_published_membrane_goes_past_the_infimum() -> None:
    """Exception 2: halfway to ϑ is better, and so on for ever: z > ϑ has no minimum there."""
    v = single(membrane=0.2, spike=1.0)
    neuron, weights = Neuron(0.8, 0.6, "soft"), Published(rho=v.rho, beta=v.beta)
    z = float(hidden_membranes(row(0.5), None, row(1.0), neuron, weights))
    assert z == 0.6 + 1e-5
    value = in_place(v, v.membranes[0])
    assert value(np.array([0.6 + 5e-6])) < value(np.array([z])) < value(np.array([0.5]))


def single(membrane: float, spike: float) -> Variables:
    """One hidden neuron, one step, driven to 0.5; the output neither pulls nor is pulled."""
    shape = (1, 1, 1)
    return Variables(
        [np.array([[0.5]]), np.array([[0.0]])],
        [np.full(shape, membrane), np.zeros(shape)],
        [np.full(shape, spike)],
        multiplier=np.zeros((1, 1)),
        inputs=np.ones(shape),
        wanted=np.zeros((1, 1)),
        decays=[0.8, 0.9],
        thresholds=[0.6, 1.0],
        rho=1.0,
        beta=4.0,
    )


def spike_problem(seed: int) -> tuple[F64, F64, F64, float, float]:
    """Return W, v, H(z), ϑ and β/ρ of a step whose reset matters, its misfit being zero."""
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(3, 4))
    fires = (generator.random(4) < 0.5).astype(float)
    return weights, weights @ generator.normal(0.5, 1, 4), fires, 0.6, 0.3


def updated_spikes(weights: F64, sought: F64, fires: F64, threshold: float, pull: float) -> F64:
    update = SpikeUpdate(
        torch.from_numpy(weights), Neuron(0.8, threshold, "soft"), Published(rho=1.0, beta=pull)
    )
    asked = torch.from_numpy(sought @ weights)[None]
    zeros = torch.zeros(1, 4, dtype=torch.float64)
    spikes: F64 = update.before_last(asked, torch.from_numpy(fires)[None], zeros).numpy()[0]
    return spikes


def stacked(
    weights: F64, sought: F64, fires: F64, threshold: float, pull: float
) -> tuple[F64, F64]:
    """Return the same step as one least-squares problem ‖A a − b‖²."""
    unit = np.eye(4)
    matrix = np.vstack([weights, threshold * unit, np.sqrt(pull) * unit])
    return matrix, np.concatenate([sought, np.zeros(4), np.sqrt(pull) * fires])


@pytest.mark.parametrize("seed", range(20))
def test_spikes_are_least_squares_before_they_are_clipped(seed: int) -> None:
    problem = spike_problem(seed)
    free = lsq_linear(*stacked(*problem), method="bvls").x
    np.testing.assert_allclose(updated_spikes(*problem), free.clip(0, 1), atol=1e-9)


def test_clipped_spikes_are_not_the_minimiser_and_can_be_worse_than_before() -> None:
    """Exception 1: the clip leaves the objective above its minimum within 0…1."""
    gaps, rises = [], []
    for seed in range(200):
        problem = spike_problem(seed)
        matrix, right = stacked(*problem)
        clipped = updated_spikes(*problem)
        bounded = lsq_linear(matrix, right, (0, 1)).x
        value = [float(((matrix @ x - right) ** 2).sum()) for x in (clipped, bounded, problem[2])]
        gaps.append(value[0] - value[1])
        rises.append(value[0] - value[2])
    assert min(gaps) > -1e-9
    assert max(gaps) > 0.1
    assert max(rises) > 0.01  # the spikes before were H(z): within the bounds, and better


def test_the_multiplier_is_the_slope_of_the_label_term() -> None:
    """z_L[T] solves 2(z − y) + λ + ρ(z − s) = 0, so the new λ is 2(y − z); none while warming."""
    found = iteration(5, admm(warming=2, rho=0.3))
    for index in range(4):
        found.step()
        state = variables(found, recordings(5))
        expected = 2 * (state.wanted - state.membranes[-1][-1])
        np.testing.assert_allclose(state.multiplier, expected * (index >= 2), atol=1e-12)


def test_one_layer_and_one_step_is_least_squares() -> None:
    """There the only constraint is the one with a multiplier, and the problem is convex."""
    data = recordings(6, count=12, steps=1)
    network = SpikingNetwork(network_settings(3), (1, 1, INPUTS), CLASSES).double()
    found = PublishedIteration(network, data, admm(warming=0, rho=1.0), 0)
    for _ in range(60):
        curves = found.step()
    inputs = data.spikes_BTCHW.reshape(12, -1).astype(float)
    expected = np.linalg.lstsq(inputs, np.eye(3)[data.labels_B], rcond=None)[0].T
    np.testing.assert_allclose(found.synapses[0].matrix_OF.numpy(), expected, atol=1e-9)
    assert curves["residual_membranes_1"] < 1e-9


def test_the_true_agreement_is_with_the_spikes_of_the_network() -> None:
    """Counted in plain loops, from the equation of the neuron."""
    found, data = iteration(7, admm(beta=0.2, warming=0)), recordings(7)
    for _ in range(4):
        curves = found.step()
    v = variables(found, data)
    x = v.inputs
    for layer in range(2):
        z, fired = np.zeros(v.membranes[layer].shape[1:]), np.zeros_like(v.membranes[layer])
        for t in range(STEPS):
            before = fired[t - 1] if t else 0
            z = v.decays[layer] * z - v.thresholds[layer] * before + x[t] @ v.weights[layer].T
            fired[t] = z > v.thresholds[layer]
        relaxed = v.spikes[layer] > 0.5
        assert curves[f"agreement_true_{layer + 1}"] == np.mean(relaxed == fired)
        own = relaxed == (v.membranes[layer] > v.thresholds[layer])
        assert curves[f"agreement_own_{layer + 1}"] == np.mean(own)
        either = (relaxed + fired > 0).sum()
        assert curves[f"overlap_true_{layer + 1}"] == (relaxed * fired).sum() / either
        x = fired
    evidence = sum(v.decays[-1] ** (STEPS - 1 - t) * x[t] @ v.weights[-1].T for t in range(STEPS))
    assert curves["training_hard"] == np.mean(evidence.argmax(1) == data.labels_B)


def state_bytes(found: PublishedIteration) -> list[bytes]:
    tensors = found.tensors() | dict(found.network.state_dict())
    return [value.numpy().tobytes() for value in tensors.values()]


def test_the_same_seed_gives_the_same_bytes_in_inference_mode_and_out_of_it() -> None:
    first, second = (iteration(8, admm(), dtype=torch.float32) for _ in range(2))
    other = iteration(9, admm(), dtype=torch.float32)
    curves = [first.step() for _ in range(2)]
    with torch.inference_mode():
        assert [second.step() for _ in range(2)] == curves
    assert state_bytes(first) == state_bytes(second)
    assert state_bytes(first)[0] != state_bytes(other)[0]


def test_nothing_is_recorded_for_a_gradient() -> None:
    def kept(tensor: Tensor) -> Tensor:
        raise AssertionError(f"a tensor of {tuple(tensor.shape)} was kept for a backward pass")

    found = iteration(8, admm())
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(kept, kept):
        found.step()
    assert all(parameter.grad is None for parameter in found.network.parameters())
    assert not any(tensor.requires_grad for tensor in found.tensors().values())


def test_the_chunk_bounds_memory_and_changes_nothing_but_rounding() -> None:
    one, other = iteration(10, admm(chunk=1)), iteration(10, admm(chunk=99))
    for _ in range(3):
        curves = one.step(), other.step()
        assert curves[0] == pytest.approx(curves[1], abs=1e-9)


def test_a_restored_state_goes_on_to_the_byte() -> None:
    found = iteration(11, admm(warming=1), dtype=torch.float32)
    found.step()
    found.step()
    tensors = {key: value.clone() for key, value in found.tensors().items()}
    weights = copy.deepcopy(found.network.state_dict())
    found.step()
    again = iteration(11, admm(warming=1), dtype=torch.float32)
    again.network.load_state_dict(weights)
    again.restore(tensors)
    again.step()
    assert state_bytes(again) == state_bytes(found)


def test_a_state_of_other_recordings_is_refused_in_one_line() -> None:
    tensors = iteration(11, admm()).tensors()
    network = SpikingNetwork(network_settings(3, 4, 3), (1, 1, INPUTS), CLASSES)
    other = PublishedIteration(network, recordings(1, count=6), admm(), 0)
    with pytest.raises(HardspikeError, match="of other recordings") as caught:
        other.restore(tensors)
    assert "\n" not in str(caught.value)


class Meeting:
    """An exchange between two threads."""

    ranks, bytes_sent = 2, 0

    def __init__(self, rank: int, barrier: threading.Barrier, table: list[list[Tensor]]) -> None:
        self.rank, self.barrier, self.table = rank, barrier, table

    def add_up(self, tensors: Sequence[Tensor], symmetric: Sequence[Tensor] = ()) -> None:
        mine = [*tensors, *symmetric]
        self.table[self.rank] = [tensor.clone() for tensor in mine]
        self.barrier.wait(20)
        for tensor, parts in zip(mine, zip(*self.table, strict=True), strict=True):
            tensor.copy_(parts[0] + parts[1])
        self.barrier.wait(20)

    def from_first(self, data: bytes) -> bytes:
        self.table[self.rank] = [torch.tensor(list(data))]
        self.barrier.wait(20)
        return bytes(self.table[0][0].tolist())


def test_two_ranks_take_the_steps_of_one() -> None:
    alone, data = iteration(12, admm(warming=1)), recordings(12)
    barrier, table = threading.Barrier(2), [[], []]  # type: tuple[Any, list[list[Tensor]]]
    parts = np.arange(2), np.arange(2, RECORDINGS)
    ranks = []
    for rank, part in enumerate(parts):
        network = copy.deepcopy(alone.network)
        meeting = Meeting(rank, barrier, table)
        ranks.append(PublishedIteration(network, data.take(part), admm(warming=1), 12, meeting))
        cut = {
            key: value[torch.from_numpy(part)] if key == "multiplier" else value
            for key, value in alone.tensors().items()
        }
        ranks[-1].restore(
            {key: value[:, part] if value.dim() == 3 else value for key, value in cut.items()}
        )
    curves: list[dict[str, float]] = [{}, {}]

    def work(rank: int) -> None:
        for _ in range(3):
            curves[rank] = ranks[rank].step()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        expected = alone.step()
    for thread in threads:
        thread.join()
    assert curves[0] == curves[1] == pytest.approx(expected, abs=1e-9)
    for mine, theirs in zip(alone.synapses, ranks[0].synapses, strict=True):
        torch.testing.assert_close(mine.matrix_OF, theirs.matrix_OF, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(
    ("layers", "readout", "line"),
    [
        ([{"units": 3}], "count", "network.readout: found count"),
        ([{"units": 4, "bias": True}, {"units": 3}], "membrane", "network.layers.0.bias: found"),
        ([{"units": 4}, {"units": 3, "bias": True}], "membrane", "network.layers.1.bias: found"),
        ([{"channels": 2}, {"units": 3}], "membrane", "network.layers.0.type: found conv"),
    ],
)
def test_a_network_it_is_not_for_is_refused_in_one_line(
    layers: list[dict[str, Any]], readout: Any, line: str
) -> None:
    made = [
        ConvSettings(type="conv", kernel=1, **layer)
        if "channels" in layer
        else DenseSettings(type="dense", **layer)
        for layer in layers
    ]
    network = SpikingNetwork(
        NetworkSettings(layers=tuple(made), readout=readout), (1, 1, INPUTS), CLASSES
    )
    with pytest.raises(HardspikeError, match=line) as caught:
        PublishedIteration(network, recordings(0), admm(), 0)
    assert "allowed" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({}, "reset: found hard, .* write reset: soft"),
        ({"reset": "soft", "ridge": 0.5}, "ridge: is a key of variant: resync"),
        ({"reset": "soft", "shift_pixels": 2}, "shift_pixels: is a key of variant: resync"),
        ({"reset": "soft", "published": {"rho": 0}}, "greater than or equal to 0.000000001"),
        ({"reset": "soft", "published": {"order": "backward"}}, "'random' or 'forward'"),
    ],
)
def test_settings_it_has_no_meaning_for_are_refused(keys: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError, match=line):
        ADMM.model_validate({"method": "admm", "variant": "published", **keys})
