"""Every named limit refuses one step beyond its end and accepts the end."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from hardware.loihi.dense_loader import loader_fault, shifted_weights
from hardware.loihi.limits import ACCUMULATOR_MAX, check_limits


def _network(
    weight: Any = 2, bias: Any = 0, input_max: int = 1, **neuron: int
) -> FixedPointNetwork:
    weight_OI = np.array([[weight, 2, -4]])
    values: dict[str, Any] = {"membrane_decay": 100, "threshold": 100, **neuron}
    layer = Layer("only", Dense(weight_OI, np.array([bias])), LoihiLIF(**values))
    return FixedPointNetwork((1, 1, 3), (layer,), "count", 5, 0.01, input_max=input_max)


@pytest.mark.parametrize(
    ("name", "ends", "beyond"),
    [
        ("weight", (-256, 254), (-258, 256)),
        ("bias", (-4096, 4095), (-4097, 4096)),
        ("current_decay", (-1, 4095), (-2, 4096)),
        ("membrane_decay", (0, 4096), (-1, 4097)),
        ("threshold", (0, 262143), (-1, 262144)),
    ],
)
def test_a_register_holds_its_ends_and_no_more(
    name: str, ends: tuple[int, int], beyond: tuple[int, int]
) -> None:
    for value in ends:
        check_limits(_network(**{name: value}))
    for value in beyond:
        with pytest.raises(HardspikeError, match=f"layer only: {name}: found {value}, allowed"):
            check_limits(_network(**{name: value}))


def test_odd_weights_are_refused() -> None:
    with pytest.raises(HardspikeError, match="weight: found 3, allowed even integers"):
        check_limits(_network(weight=3))


def test_fractions_are_refused() -> None:
    with pytest.raises(HardspikeError, match=r"weight: found 2\.5, allowed even integers"):
        check_limits(_network(weight=2.5))


def test_every_violation_has_its_line() -> None:
    with pytest.raises(HardspikeError) as caught:
        check_limits(_network(weight=300, bias=5000, threshold=-1))
    assert len(str(caught.value).splitlines()) == 3


def _wide(inputs: int, input_max: int, current_decay: int = 4095) -> FixedPointNetwork:
    weight_OIHW = np.full((1, 1, 1, inputs), -256)
    layer = Layer("wide", Conv(weight_OIHW), LoihiLIF(100, 100, current_decay))
    return FixedPointNetwork((1, 1, inputs), (layer,), "count", 100, 0.01, input_max=input_max)


def test_an_accumulator_holds_24_bits() -> None:
    """128 · 256 · 255 = 8,355,840 fits under 2^23 − 1 = 8,388,607; 129 inputs do not."""
    assert 128 * 256 * 255 <= ACCUMULATOR_MAX < 129 * 256 * 255
    check_limits(_wide(128, 255))
    with pytest.raises(HardspikeError, match="accumulator: found sums"):
        check_limits(_wide(129, 255))


def test_a_filtered_current_may_not_outgrow_its_wrap() -> None:
    """Each step brings 2^29 and one wrap takes off 2^24: kept for 100 steps, 32 bits run over."""
    with pytest.raises(HardspikeError, match="current: found up to"):
        check_limits(_wide(128, 255, current_decay=0))


@pytest.mark.parametrize(
    "weight_OI", [np.zeros((2, 3), int), np.array([[-4, -2]]), np.array([[-256, 0]])]
)
def test_weights_that_the_loader_would_change_are_refused(weight_OI: NDArray[Any]) -> None:
    layer = Layer("dense", Dense(weight_OI), LoihiLIF(100, 100))
    network = FixedPointNetwork((1, 1, weight_OI.shape[1]), (layer,), "count", 5, 0.01)
    with pytest.raises(HardspikeError, match="dense weights that lava-dl's loader would change"):
        check_limits(network)


def test_the_loader_by_hand() -> None:
    """−4 is shifted by 6 to −256 and clipped to −255; its 6 free bits leave −192, which is −3."""
    shifted_OI, used_OI = shifted_weights(np.array([[-4, 0]]))
    assert shifted_OI.tolist() == [[-256, 0]]
    assert used_OI.tolist() != shifted_OI.tolist()


@pytest.mark.parametrize("least", range(-256, 256, 2))
def test_only_a_power_of_two_without_a_positive_weight_is_changed(least: int) -> None:
    for other in (-2, 0, 2):
        weight_OI = np.array([[least, other]])
        bottom = -int(weight_OI.min())
        changed = weight_OI.max() <= 0 and bottom & (bottom - 1) == 0
        assert (loader_fault(weight_OI) is not None) == changed, weight_OI
