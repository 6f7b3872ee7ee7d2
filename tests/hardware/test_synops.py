"""Synaptic operations: the fan-out that is really connected."""

import numpy as np
import pytest

from export.network import Conv, Dense
from hardware.synops import fan_out, synaptic_operations


def test_dense_fan_out_counts_nonzero_weights() -> None:
    synapse = Dense(np.array([[1, 0, 2], [3, 0, 0]]))
    assert fan_out(synapse, (3,)).tolist() == [2, 0, 1]


def test_a_pixel_at_the_border_reaches_fewer_synapses() -> None:
    synapse = Conv(np.ones((1, 1, 3, 3)))
    assert fan_out(synapse, (1, 4, 4)).reshape(4, 4).tolist() == [
        [1, 2, 2, 1],
        [2, 4, 4, 2],
        [2, 4, 4, 2],
        [1, 2, 2, 1],
    ]


@pytest.mark.parametrize(
    ("stride", "padding"), [((1, 1), (0, 0)), ((2, 3), (1, 2)), ((3, 2), (2, 0))]
)
def test_fan_out_is_what_single_spikes_reach(
    stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    """Counted the slow way: how many (output, tap) pairs see each input pixel."""
    generator = np.random.default_rng(1)
    weight = generator.integers(-1, 2, (3, 2, 3, 2))
    shape = (2, 7, 8)
    synapse = Conv(weight, None, stride, padding)
    _, rows, columns = synapse.output_shape(shape)
    expected = np.zeros(shape, int)
    for row in range(rows):
        for column in range(columns):
            for (_, c, i, j), value in np.ndenumerate(weight):
                y, x = row * stride[0] + i - padding[0], column * stride[1] + j - padding[1]
                if value and 0 <= y < shape[1] and 0 <= x < shape[2]:
                    expected[c, y, x] += 1
    found = fan_out(synapse, shape)
    np.testing.assert_array_equal(found, expected.reshape(-1))
    inputs = generator.integers(0, 2, (4, 5, found.size))
    assert synaptic_operations(synapse, shape, inputs) == int((inputs * found).sum())
