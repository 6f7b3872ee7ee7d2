"""The membrane step against generic solvers, enumeration and the neuron itself.

Axes: `T` time step, `B` recording, `N` neuron.
"""

from typing import Literal, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

from pipeline import fused_neuron
from pipeline.fused_neuron import rows
from pipeline.neuron import Activation, lif
from pipeline.training.admm.membrane import Neuron, State, asked_drive, fired
from pipeline.training.admm.settings import Exact, Ramp

Array = NDArray[np.float64]
Reset = Literal["hard", "soft"]
RESETS: tuple[Reset, ...] = ("hard", "soft")
ResetTerm = Literal["granted", "asked", "none"]
RESET_TERMS: tuple[ResetTerm, ...] = ("granted", "asked", "none")
HARD = Activation("sigmoid", 1.0, "hard")


class Case(NamedTuple):
    """A layer of neurons in the middle of a step."""

    neuron: Neuron
    drive: Tensor
    state: State
    asked: Tensor


def case(
    seed: int, reset: Reset, steps: int = 6, shape: tuple[int, ...] = (2, 3), decay: float = 0.9
) -> Case:
    generator = torch.Generator().manual_seed(seed)
    neuron = Neuron(decay, 0.7, reset)
    drive = torch.randn(steps, *shape, generator=generator, dtype=torch.float64) * 0.6 + 0.3
    asked = torch.randn(steps, *shape, generator=generator, dtype=torch.float64) * 0.5
    return Case(neuron, drive, fired(drive, neuron), asked)


def simulated(drive_T: Array, neuron: Neuron) -> tuple[Array, Array]:
    """Run one hard neuron: the definition, a step at a time."""
    membranes, spikes = np.zeros_like(drive_T), np.zeros_like(drive_T)
    for t, now in enumerate(drive_T):
        z, a = (membranes[t - 1], spikes[t - 1]) if t else (0.0, 0.0)
        kept = z * (1 - a) if neuron.reset == "hard" else z
        taken = neuron.threshold * a if neuron.reset == "soft" else 0.0
        membranes[t] = neuron.decay * kept - taken + now
        spikes[t] = membranes[t] > neuron.threshold
    return membranes, spikes


def driven(spikes_T: Array, membranes_T: Array, neuron: Neuron) -> Array:
    """Return the drive that gives these membranes under these spikes, spikes being any numbers."""
    drive = membranes_T.copy()
    for t in range(1, len(drive)):
        if neuron.reset == "hard":
            drive[t] -= neuron.decay * membranes_T[t - 1] * (1 - spikes_T[t - 1])
        else:
            drive[t] -= neuron.decay * membranes_T[t - 1] - neuron.threshold * spikes_T[t - 1]
    return drive


def of_neuron(tensor: Tensor, neuron: tuple[int, ...]) -> Array:
    """Return the values of one neuron of one recording, `(T,)`."""
    recording, place = neuron
    return np.asarray(tensor[:, recording, place].numpy())


def slope(found: Case, change_T: Array, neuron: tuple[int, ...], ramp: Ramp) -> Array:
    """Return the change of the drive to first order, by central differences (exact: quadratic)."""
    tensors = (found.state.membranes, found.state.spikes, found.asked)
    z, a, asked = (of_neuron(tensor, neuron) for tensor in tensors)
    inside = (np.abs(z - found.neuron.threshold) < ramp.window / 2) / ramp.window
    spikes = {"granted": inside * change_T, "asked": asked, "none": 0 * asked}[ramp.reset_term]
    up = driven(a + spikes, z + change_T, found.neuron)
    return np.asarray((up - driven(a - spikes, z - change_T, found.neuron)) / 2)


@pytest.mark.parametrize("reset", RESETS)
@given_settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 1.0), st.floats(0.2, 2.0))
def test_fired_is_the_neuron_a_step_at_a_time(
    reset: Reset, seed: int, decay: float, threshold: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    neuron = Neuron(decay, threshold, reset)
    drive = torch.randn(9, 2, 3, generator=generator, dtype=torch.float64) + 0.3
    state = fired(drive, neuron)
    for b, n in np.ndindex(2, 3):
        membranes, spikes = simulated(drive[:, b, n].numpy(), neuron)
        np.testing.assert_allclose(state.membranes[:, b, n].numpy(), membranes, atol=1e-12)
        np.testing.assert_array_equal(state.spikes[:, b, n].numpy(), spikes)


@given_settings(deadline=None)  # the first example compiles
@given(st.integers(0, 10_000), st.floats(0.1, 1.0), st.floats(0.2, 2.0), st.booleans())
def test_fired_is_the_networks_neuron_to_the_bit(
    seed: int, decay: float, threshold: float, on_a_grid: bool
) -> None:
    """On a grid of tenths membranes land on thresholds, where one bit decides about a spike."""
    generator = torch.Generator().manual_seed(seed)
    drive = torch.randn(12, 40, 60, generator=generator)
    drive = torch.round(drive * 10) / 10 if on_a_grid else drive
    state = fired(drive, Neuron(decay, threshold, "hard"))
    membranes, spikes = torch.empty_like(drive), torch.empty_like(drive)
    memory = [found for tensor in (drive, membranes, spikes) if (found := rows(tensor)) is not None]
    fused_neuron.fire(memory, fused_neuron.Constants(decay, threshold, 1.0, True))
    assert torch.equal(state.spikes, lif(drive, decay, threshold, HARD))
    assert torch.equal(state.spikes, spikes)
    assert torch.equal(state.membranes, membranes)


@pytest.mark.parametrize("reset", RESETS)
def test_memory_layouts_and_the_compiled_loops_agree(reset: Reset) -> None:
    """Channels last goes through the compiled loop, a transposed layout through torch."""
    generator = torch.Generator().manual_seed(0)
    drive = torch.randn(7, 5, 3, 4, 2, generator=generator)
    last = drive.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(drive.shape)
    other = drive.transpose(0, 1).contiguous().transpose(0, 1)
    neuron = Neuron(0.9, 0.7, reset)
    states = [fired(one, neuron) for one in (drive, last, other)]
    assert rows(last) is not None
    assert rows(other) is None
    for state in states[1:]:
        torch.testing.assert_close(state.membranes, states[0].membranes, atol=1e-5, rtol=0)
        assert torch.equal(state.spikes, states[0].spikes)
    asked = torch.randn(drive.shape, generator=generator)
    for term in RESET_TERMS:
        ramp = Ramp(kind="ramp", reset_term=term)
        found = [asked_drive(state, asked, neuron, ramp) for state in states]
        for drive_change, change in found[1:]:
            torch.testing.assert_close(drive_change, found[0][0], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(change, found[0][1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("term", RESET_TERMS)
@pytest.mark.parametrize("reset", RESETS)
@given_settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.1, 4.0), st.floats(0.01, 10.0))
def test_the_ramp_minimises_the_sub_problem(
    reset: Reset, term: ResetTerm, seed: int, steps: int, window: float, slack: float
) -> None:
    """ρ‖ΔI(Δz)‖² + β‖w·Δa − [|z0 − ϑ| < w/2]·Δz‖², by a generic least-squares solver."""
    found = case(seed, reset, steps)
    ramp = Ramp(kind="ramp", window=window, slack=slack, reset_term=term)
    residual, change = asked_drive(found.state, found.asked, found.neuron, ramp)
    for neuron in np.ndindex(2, 3):
        where = (slice(None), *neuron)
        z, asked = found.state.membranes[where].numpy(), found.asked[where].numpy()
        inside = (np.abs(z - found.neuron.threshold) < window / 2).astype(np.float64)

        def parts(
            change_T: Array,
            neuron: tuple[int, ...] = neuron,
            asked: Array = asked,
            inside: Array = inside,
        ) -> Array:
            missed = np.sqrt(slack) * (window * asked - inside * change_T)
            return np.concatenate([slope(found, change_T, neuron, ramp), missed])

        best = optimize.least_squares(parts, np.zeros(steps), xtol=1e-15, ftol=1e-15, gtol=1e-15)
        np.testing.assert_allclose(change[where].numpy(), best.x, atol=1e-6)
        np.testing.assert_allclose(
            slack * residual[where].numpy(), slope(found, best.x, neuron, ramp), atol=1e-6
        )


@pytest.mark.parametrize("term", RESET_TERMS)
@pytest.mark.parametrize("reset", RESETS)
def test_the_ramp_is_stationary_to_rounding(reset: Reset, term: ResetTerm) -> None:
    """The gradient of the quadratic, from the drive that is returned, vanishes."""
    found = case(3, reset, 12)
    ramp = Ramp(kind="ramp", window=1.5, slack=0.3, reset_term=term)
    residual, change = asked_drive(found.state, found.asked, found.neuron, ramp)
    for neuron in np.ndindex(2, 3):
        where = (slice(None), *neuron)
        a, z = found.state.spikes[where].numpy(), found.state.membranes[where].numpy()
        keeps = found.neuron.decay * (1 - a if reset == "hard" else np.ones(12))
        r, inside = residual[where].numpy(), np.abs(z - 0.7) < 0.75
        if term == "granted":
            keeps = keeps - inside / 1.5 * (0.9 * z if reset == "hard" else 0.7)
        missed = inside * (1.5 * found.asked[where].numpy() - change[where].numpy())
        np.testing.assert_allclose(r - np.append(keeps[:-1] * r[1:], 0), missed, atol=1e-12)


@pytest.mark.parametrize("term", RESET_TERMS)
@pytest.mark.parametrize("reset", RESETS)
@given_settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 3.0), st.floats(0.05, 2.0))
def test_the_compiled_ramp_is_torchs_within_rounding(
    reset: Reset, term: ResetTerm, seed: int, window: float, slack: float
) -> None:
    found = case(seed, reset, 10)
    away = (found.state.membranes - found.neuron.threshold).abs() - window / 2
    assume(float(away.abs().min()) > 1e-4)
    ramp = Ramp(kind="ramp", window=window, slack=slack, reset_term=term)
    state = State(found.state.membranes.float(), found.state.spikes.float())
    single = asked_drive(state, found.asked.float(), found.neuron, ramp)
    double = asked_drive(found.state, found.asked, found.neuron, ramp)
    for one, other in zip(single, double, strict=True):
        size = float(other.abs().max())
        torch.testing.assert_close(one.double(), other, atol=2e-5 * (1 + size), rtol=0)


@pytest.mark.parametrize(
    "settings",
    [Exact(kind="exact", flips=1.0), *(Ramp(kind="ramp", reset_term=t) for t in RESET_TERMS)],
)
@pytest.mark.parametrize("reset", RESETS)
def test_the_drive_gives_the_membranes_while_no_spike_changes(
    reset: Reset, settings: Ramp | Exact
) -> None:
    """Run the neuron with a little of the drive: Δz[t] = d·Δz[t−1] + ΔI[t], exact where Δa = 0."""
    found = case(11, reset, 8)
    slack = settings.slack if isinstance(settings, Ramp) else 1.0
    drive, change = asked_drive(found.state, found.asked, found.neuron, settings)
    assert float(change.abs().max()) > 0.1
    size = 1e-6
    if isinstance(settings, Ramp):  # the resets that it counts on are not there when none changes
        carried = found.neuron.decay * found.state.membranes if reset == "hard" else 0.7
        inside = ((found.state.membranes - 0.7).abs() < settings.window / 2) / settings.window
        spikes = {"granted": inside * change, "asked": found.asked, "none": 0 * change}
        counted = (carried * spikes[settings.reset_term])[:-1]
        drive = slack * drive - torch.cat([torch.zeros_like(drive[:1]), counted])
    moved = fired(found.drive + size * drive, found.neuron)
    assert torch.equal(moved.spikes, found.state.spikes)
    got = (moved.membranes - found.state.membranes) / size
    torch.testing.assert_close(got, change, atol=1e-8, rtol=0)


def least_drive(found: Case, neuron: tuple[int, ...], t: int, jump: float) -> Array:
    """Return the drive of least norm that moves z[t] by `jump`, through a pseudo-inverse."""
    spikes = of_neuron(found.state.spikes, neuron)
    steps = len(spikes)
    shift = np.eye(steps)
    for s in range(1, steps):
        open_now = 1 - spikes[s - 1] if found.neuron.reset == "hard" else 1.0
        shift[s, s - 1] = -found.neuron.decay * open_now
    row = np.linalg.inv(shift)[t : t + 1]
    return np.asarray(np.linalg.pinv(row)[:, 0] * jump)


def best_flip(found: Case, neuron: tuple[int, ...], margin: float) -> tuple[float, int, Array]:
    """Return (asked for)/(size of the drive), step and drive of the best flip of a neuron."""
    tried: list[tuple[float, int, Array]] = []
    for t in range(len(found.drive)):
        z, a, asked = (
            float(tensor[(t, *neuron)])
            for tensor in (found.state.membranes, found.state.spikes, found.asked)
        )
        goal = found.neuron.threshold + (margin if a == 0 else -margin)
        drive = least_drive(found, neuron, t, goal - z)
        wish = asked if a == 0 else -asked
        tried.append((max(wish, 0.0) / float(np.linalg.norm(drive)), t, drive))
    return max(tried, key=lambda one: one[0])


@pytest.mark.parametrize("reset", RESETS)
@given_settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([0.02, 0.1, 0.2, 1.0]))
def test_the_exact_step_takes_the_best_of_all_flips(
    reset: Reset, seed: int, steps: int, flips: float
) -> None:
    found, margin = case(seed, reset, steps, (3, 4)), 0.1
    exact = Exact(kind="exact", flips=flips, margin=margin)
    drive, _ = asked_drive(found.state, found.asked, found.neuron, exact)
    count = max(1, round(flips * steps * 4))
    for recording in range(3):
        best = {n: best_flip(found, (recording, n), margin) for n in range(4)}
        order = sorted(best, key=lambda n: -best[n][0])[:count]
        chosen = [n for n in order if best[n][0] > 0]
        for n in range(4):
            expected = best[n][2] if n in chosen else np.zeros(steps)
            np.testing.assert_allclose(drive[:, recording, n].numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("reset", RESETS)
@given_settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.3, 1.0))
def test_a_chosen_flip_really_flips(reset: Reset, seed: int, decay: float) -> None:
    """Where no earlier spike changes: z[t] lands on ϑ ± margin, on the other side of ϑ."""
    found, margin = case(seed, reset, 6, (2, 5), decay), 0.05
    exact = Exact(kind="exact", flips=1.0, margin=margin)
    drive, change = asked_drive(found.state, found.asked, found.neuron, exact)
    moved = fired(found.drive + drive, found.neuron)
    flipped = 0
    for neuron in np.ndindex(2, 5):
        gain, t, _ = best_flip(found, neuron, margin)
        before = moved.spikes[(slice(t), *neuron)], found.state.spikes[(slice(t), *neuron)]
        if gain == 0 or not torch.equal(*before):
            continue
        flipped += 1
        assert moved.spikes[(t, *neuron)] == 1 - found.state.spikes[(t, *neuron)]
        side = 1 if moved.spikes[(t, *neuron)] else -1
        assert float(moved.membranes[(t, *neuron)]) == pytest.approx(0.7 + side * margin)
        whole = found.state.membranes + change
        assert float(whole[(t, *neuron)]) == pytest.approx(0.7 + side * margin)
    assert flipped


@pytest.mark.parametrize("reset", RESETS)
def test_the_drive_of_a_flip_is_the_least_by_a_generic_solver(reset: Reset) -> None:
    """min ‖ΔI‖² so that the simulated membrane at t is ϑ ± margin, by SLSQP on the neuron."""
    found, margin = case(2, reset, 5, (1, 6)), 0.1
    exact = Exact(kind="exact", flips=1.0, margin=margin)
    drive, _ = asked_drive(found.state, found.asked, found.neuron, exact)
    spikes = found.state.spikes.numpy()
    compared = 0
    for n in range(6):
        gain, t, _ = best_flip(found, (0, n), margin)
        goal = found.neuron.threshold + margin * (1 - 2 * spikes[t, 0, n])
        base = found.drive[:, 0, n].numpy()

        def missed(change_T: Array, n: int = n, t: int = t, base: Array = base) -> float:
            membrane = 0.0
            for s in range(t + 1):
                a = spikes[s - 1, 0, n] if s else 0.0
                kept = membrane * (1 - a) if reset == "hard" else membrane
                membrane = 0.9 * kept - (0.7 * a if reset == "soft" else 0) + base[s] + change_T[s]
            return membrane

        def size(change_T: Array) -> float:
            return float(change_T @ change_T)

        bound = {"type": "eq", "fun": lambda x, goal=goal, missed=missed: missed(x) - goal}
        best = optimize.minimize(
            size, np.full(5, 0.1), constraints=[bound], method="SLSQP", options={"ftol": 1e-14}
        )
        if gain > 0:
            compared += 1
            np.testing.assert_allclose(drive[:, 0, n].numpy(), best.x, atol=1e-5)
    assert compared >= 2


def test_what_is_asked_of_one_recording_depends_on_no_other() -> None:
    found = case(5, "hard", 10, (4, 6))
    exact = Exact(kind="exact", flips=0.05)
    whole, _ = asked_drive(found.state, found.asked, found.neuron, exact)
    for recording in range(4):
        alone = slice(recording, recording + 1)
        state = State(found.state.membranes[:, alone], found.state.spikes[:, alone])
        drive, _ = asked_drive(state, found.asked[:, alone], found.neuron, exact)
        assert torch.equal(drive, whole[:, alone])


@pytest.mark.parametrize("settings", [Ramp(kind="ramp"), Exact(kind="exact")])
def test_nothing_asked_is_nothing_moved(settings: Ramp | Exact) -> None:
    found = case(1, "hard")
    drive, change = asked_drive(found.state, torch.zeros_like(found.asked), found.neuron, settings)
    assert not drive.any()
    assert not change.any()
