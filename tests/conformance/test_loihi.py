"""Lava's unmodified models against the NumPy reference, every spike and membrane at every step.

All networks run in one worker, one after the other. Axes as in `export.network`.
"""

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Readout, Shape, Synapse
from export.netx_file import write_netx
from hardware import reference
from hardware.loihi import environment
from hardware.loihi.limits import check_limits
from hardware.loihi.target import Job, JobResult, run_jobs

UNAVAILABLE = environment.availability().reason

pytestmark = [
    pytest.mark.loihi,
    pytest.mark.timeout(600),
    pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE)),
]

RANDOM_NETWORKS = 40
Random = np.random.Generator


@dataclass(frozen=True, eq=False)
class Case:
    """A network, recordings for it, what the reference says, and how often it saturated."""

    network: FixedPointNetwork
    spikes_BTCHW: Any
    expected: reference.Trace
    wraps: int
    clips: int


def even(random: Random, *shape: int, low: int = -60, high: int = 60) -> Any:
    """Even weights between two even limits, both included."""
    return 2 * random.integers(low // 2, high // 2 + 1, shape).astype(np.int32)


def stack(
    synapses: list[tuple[Synapse, LoihiLIF]], shape: tuple[int, int, int], **rest: Any
) -> FixedPointNetwork:
    layers = tuple(
        Layer(f"layer{at}", synapse, neuron) for at, (synapse, neuron) in enumerate(synapses)
    )
    options: dict[str, Any] = {"readout": "count", "steps": 7, "dt": 0.01} | rest
    return FixedPointNetwork(shape, layers, **options)


def dense(readout: Readout, bias: bool, **rest: Any) -> FixedPointNetwork:
    random = np.random.default_rng(1)
    biases = (even(random, 9), even(random, 4, low=-9)) if bias else (None, None)
    return stack(
        [
            (Dense(even(random, 9, 30), biases[0]), LoihiLIF(700, 90)),
            (Dense(even(random, 4, 9), biases[1]), LoihiLIF(0, 60, current_decay=3000)),
        ],
        (2, 5, 3),
        readout=readout,
        **rest,
    )


def conv(readout: Readout, bias: bool, last: bool = False, **rest: Any) -> FixedPointNetwork:
    """Two convolutions, neither square nor square of stride and padding, and a dense layer."""
    random = np.random.default_rng(2)
    biases = (even(random, 3), even(random, 4), even(random, 5)) if bias else (None, None, None)
    layers: list[tuple[Synapse, LoihiLIF]] = [
        (Conv(even(random, 3, 2, 3, 2), biases[0], (2, 1), (1, 0)), LoihiLIF(400, 80)),
        (Conv(even(random, 4, 3, 2, 3), biases[1], (1, 2), (0, 1)), LoihiLIF(9, 99, 2048)),
    ]
    if not last:
        layers.append((Dense(even(random, 5, 4 * 4 * 3), biases[2]), LoihiLIF(300, 70)))
    return stack(layers, (2, 9, 6), readout=readout, **rest)


HAND_MADE: dict[str, Callable[[], FixedPointNetwork]] = {
    "dense-count": functools.partial(dense, "count", bias=False),
    "dense-count-bias": functools.partial(dense, "count", bias=True),
    "dense-membrane": functools.partial(dense, "membrane", bias=True),
    "dense-graded-input": functools.partial(dense, "count", bias=False, input_max=255),
    "dense-one-step": functools.partial(dense, "count", bias=True, steps=1),
    "conv-count": functools.partial(conv, "count", bias=False),
    "conv-membrane": functools.partial(conv, "membrane", bias=False),
    "conv-count-bias": functools.partial(conv, "count", bias=True),
    "conv-graded-input": functools.partial(conv, "membrane", bias=True, input_max=200),
    "conv-last": functools.partial(conv, "membrane", bias=True, last=True),
}


def pick(random: Random, *choices: Any) -> Any:
    return choices[random.integers(len(choices))]


def random_neuron(random: Random) -> LoihiLIF:
    """Decays and threshold at the ends of their registers, or anywhere between."""
    anywhere = functools.partial(random.integers, 0, 4096)
    return LoihiLIF(
        membrane_decay=int(pick(random, 0, 4095, anywhere())),
        threshold=int(pick(random, 0, 131071, random.integers(0, 131072), random.integers(0, 999))),
        current_decay=int(pick(random, 0, 4095, 4095, anywhere())),
    )


def random_bias(random: Random, outputs: int) -> Any:
    anything = random.integers(-4096, 4096, outputs).astype(np.int32)
    return pick(random, None, np.full(outputs, -4096), np.full(outputs, 4095), anything)


def random_weight(random: Random, *shape: int) -> Any:
    """Weights over the whole register, near its upper end, or small."""
    low, high = pick(random, (-256, 254), (240, 254), (-256, -240), (-20, 20))
    return even(random, *shape, low=low, high=high)


def random_network(random: Random) -> FixedPointNetwork:
    """A dense network wide enough to wrap the current at once, or a convolutional one."""
    shape: tuple[int, int, int]
    layers: list[tuple[Synapse, LoihiLIF]] = []
    given: Shape
    if random.random() < 0.5:
        shape = pick(random, (2, 18, 16), (1, 5, 4), (2, 20, 15), (3, 14, 14))
        given = shape
    else:
        height, width = map(int, random.integers(5, 9, 2))
        shape = (int(random.integers(1, 3)), height, width)
        kernel = (pick(random, 1, 2, 3), pick(random, 1, 3, 5))
        weight = random_weight(random, 3, shape[0], *kernel)
        stride, padding = (pick(random, 1, 2), pick(random, 1, 3)), (pick(random, 0, 2), 1)
        synapse = Conv(weight, random_bias(random, 3), stride, padding)
        layers.append((synapse, random_neuron(random)))
        given = synapse.output_shape(shape)
    for outputs in random.integers(3, 9, pick(random, 1, 2)):
        weight = random_weight(random, int(outputs), int(np.prod(given)))
        layers.append((Dense(weight, random_bias(random, len(weight))), random_neuron(random)))
        given = (len(weight),)
    steps, largest = int(random.integers(1, 9)), pick(random, 1, 1, 1, 255)
    readout = pick(random, "count", "membrane")
    return stack(layers, shape, readout=readout, steps=steps, input_max=largest)


def allowed_network(random: Random) -> FixedPointNetwork:
    """Draw until Lava can hold the network."""
    while True:
        network = random_network(random)
        try:
            check_limits(network)
        except HardspikeError:
            continue
        return network


def case_of(network: FixedPointNetwork, random: Random, density: float) -> Case:
    """Draw recordings, and run the reference while counting what wraps and clips."""
    shape = (int(random.integers(2, 5)), network.steps, *network.input_shape)
    events = random.random(shape) < density
    spikes = (events * random.integers(1, network.input_max + 1, shape)).astype(np.uint8)
    seen: Counter[str] = Counter()

    def counted(name: str) -> Callable[[Any], Any]:
        function = getattr(reference, name)

        def call(state: Any) -> Any:
            limited = function(state)
            seen[name] += int((limited != state).sum())
            return limited

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("wrap24", "clip24"):
            patch.setattr(reference, name, counted(name))
        expected = reference.run_fixed(network, spikes)
    return Case(network, spikes, expected, seen["wrap24"], seen["clip24"])


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    random = np.random.default_rng(20)
    made = {name: case_of(make(), random, 0.2) for name, make in HAND_MADE.items()}
    for index in range(RANDOM_NETWORKS):
        random = np.random.default_rng([2003, index])
        network = allowed_network(random)
        made[f"random-{index}"] = case_of(network, random, pick(random, 0.05, 0.9, 1.0))
    return made


@pytest.fixture(scope="module")
def answers(
    cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, JobResult]:
    folder = tmp_path_factory.mktemp("netx")
    jobs = []
    for name, case in cases.items():
        write_netx(case.network, folder / f"{name}.net")
        jobs.append(Job(folder / f"{name}.net", case.spikes_BTCHW, record_layers=True))
    results, _ = run_jobs(jobs, timeout_s=500)
    return dict(zip(cases, results, strict=True))


@pytest.mark.parametrize("name", [*HAND_MADE, *(f"random-{at}" for at in range(RANDOM_NETWORKS))])
def test_lava_equals_the_reference_at_every_step(
    name: str, cases: dict[str, Case], answers: dict[str, JobResult]
) -> None:
    case, answer = cases[name], answers[name]
    expected = case.expected
    for recorded_BTN, spikes_BTN in zip(
        answer.layers_BTN, expected.spikes_BTN.values(), strict=True
    ):
        np.testing.assert_array_equal(recorded_BTN, spikes_BTN)
    outputs = expected.last if case.network.readout == "count" else expected.membranes_BTN
    np.testing.assert_array_equal(answer.outputs_BTN, outputs)


def test_hand_made_networks_fire_in_every_layer(cases: dict[str, Case]) -> None:
    for name in HAND_MADE:
        for layer, spikes_BTN in cases[name].expected.spikes_BTN.items():
            assert 0 < spikes_BTN.mean() < 1, f"{name}: {layer}"


def test_random_networks_wrap_and_clip(cases: dict[str, Case]) -> None:
    drawn = [case for name, case in cases.items() if name not in HAND_MADE]
    assert sum(case.wraps > 0 for case in drawn) >= len(drawn) // 5
    assert sum(case.clips > 0 for case in drawn) >= len(drawn) // 5
    assert sum(0 < case.expected.last.mean() < 1 for case in drawn) >= len(drawn) // 5
