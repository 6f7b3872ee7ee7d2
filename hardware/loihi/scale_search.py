"""The scale of a layer, and the rounding under it, by the error of the membrane.

Axes: `O` output, `J` term of an error, as in `hardware.membrane_error`.

The largest weight sets the scale badly where bits are few: one outlier spreads the grid. Clipping
it, W′ = step·clip(round(kW/step)), may cost the membrane less than what the finer grid gains. The
candidates for k are

    (a) the largest-weight scale;
    (b) for every level n the k that puts the largest |w| on n·step: weights that already lie on
        a grid, from quantisation-aware training, are met exactly;
    (c) a geometric grid from (a) up to eight times it.

Of those whose registers, sums and drive fit, the ones with the least error when rounded to the
nearest make a shortlist; the least error after the rounding that is asked for decides, and it is
never above that of (a). What the recordings did not show counts a little in the error
(`hardware.membrane_error.damped`), so that silent inputs do not leave the scale open.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from export.network import LIF, Array, Layer, LoihiLIF
from export.registers import BIAS
from hardware.loihi.layer_integers import (
    Demands,
    at_scale,
    drive_bound,
    level_range,
    register_bounds,
    representable,
    with_numbers,
)
from hardware.membrane_error import error_terms, mean_square_error
from hardware.membrane_rounding import Lattice, MembraneRounding

ScaleBy = Literal["largest_weight", "membrane"]
Rounding = Literal["nearest", "membrane"]
NeuronT = TypeVar("NeuronT", LIF, LoihiLIF)
_Fit = Callable[[Layer[LIF], Layer[LoihiLIF]], Layer[LoihiLIF]]
"""From a float layer and its integers at the nearest to integers that err no more."""

_OCTAVES, _PER_OCTAVE = 3, 16
_SHORTLIST = 8
_SAMPLE_PRODUCTS, _LEAST_SAMPLE = 1 << 28, 8


def membrane_integers(
    layer: Layer[LIF],
    usual: Layer[LoihiLIF],
    demands: Demands,
    form_JJ: Array,
    largest_drive: float,
    scale_by: ScaleBy,
    rounding: Rounding,
) -> Layer[LoihiLIF]:
    """Return the layer's integers under the scale and the rounding that move its membrane least.

    `usual` is the layer under the largest-weight scale; `form_JJ` gives the squared error,
    `largest_drive` is that of `hardware.membrane_error.InputStatistics`.
    """
    fit: _Fit = _as_nearest
    if rounding == "membrane":
        fit = _membrane_fit(usual, demands, form_JJ)
    found = [fit(layer, usual)]
    if scale_by == "membrane":
        scale = _best_scale(layer, usual, demands, form_JJ, largest_drive, fit)
        if scale != usual.scale:
            found.append(fit(layer, at_scale(layer, scale, demands.step)))
    return min(found, key=lambda one: _error(layer, one, form_JJ))


def _best_scale(
    layer: Layer[LIF],
    usual: Layer[LoihiLIF],
    demands: Demands,
    form_JJ: Array,
    largest_drive: float,
    fit: _Fit,
) -> float:
    """Return the scale with the least error; in a wide layer a sample of the outputs decides."""
    products = len(layer.synapse.weight) * len(form_JJ) ** 2
    most = max(1, len(layer.synapse.weight) // _LEAST_SAMPLE)
    every = min(max(1, products // _SAMPLE_PRODUCTS), most)
    sample = _every(layer, every)

    def error(scale: float, fit: _Fit) -> float:
        return _error(sample, fit(sample, at_scale(sample, scale, demands.step)), form_JJ)

    candidates = _candidates(layer, usual.scale, demands, largest_drive)
    ranked = sorted(candidates, key=lambda scale: error(scale, _as_nearest))
    fitting = (
        scale
        for scale in ranked
        if representable(at_scale(layer, scale, demands.step), demands.input_max)
    )
    return min([usual.scale, *islice(fitting, _SHORTLIST)], key=lambda scale: error(scale, fit))


def _every(layer: Layer[NeuronT], every: int) -> Layer[NeuronT]:
    """Return the layer with every so many of its outputs."""
    bias = layer.synapse.bias_O
    synapse = with_numbers(
        layer.synapse, layer.synapse.weight[::every], None if bias is None else bias[::every]
    )
    return Layer(layer.name, synapse, layer.neuron, layer.scale)


def _as_nearest(_: Layer[LIF], nearest: Layer[LoihiLIF]) -> Layer[LoihiLIF]:
    return nearest


def _membrane_fit(usual: Layer[LoihiLIF], demands: Demands, form_JJ: Array) -> _Fit:
    """Return the rounding of weights and bias by the form; what would not fit stays nearest."""
    round_to_membrane = MembraneRounding(form_JJ, _lattice(usual, demands.step)[0])

    def fit(layer: Layer[LIF], nearest: Layer[LoihiLIF]) -> Layer[LoihiLIF]:
        lattice, integer_J = _lattice(nearest, demands.step)
        start_OJ = _integers(nearest) / integer_J
        target_OJ = lattice.unit_J * start_OJ - error_terms(layer, nearest)
        found_OJ = np.rint(round_to_membrane(target_OJ, start_OJ, lattice) * integer_J)
        found_OJ = found_OJ.astype(np.int32)
        weight = found_OJ[:, :-2].reshape(nearest.synapse.weight.shape)
        bias = None if nearest.synapse.bias_O is None else found_OJ[:, -2]
        synapse = with_numbers(nearest.synapse, weight, bias)
        rounded = replace(nearest, synapse=synapse)
        return rounded if representable(rounded, demands.input_max) else nearest

    return fit


def _candidates(
    layer: Layer[LIF], usual: float, demands: Demands, largest_drive: float
) -> Iterator[float]:
    """Yield the scales (b) and (c) that the registers and the drive allow."""
    bounds = [scale for scale, _ in register_bounds(layer, demands)]
    highest = min([drive_bound(largest_drive), *bounds])
    largest = float(np.abs(layer.synapse.weight.astype(np.float64)).max())
    levels = np.arange(1, -level_range(demands.step)[0] + 1)
    octaves = np.arange(1, _OCTAVES * _PER_OCTAVE + 1) / _PER_OCTAVE
    scales = np.concatenate([levels * demands.step / largest, usual * 2.0**octaves])
    yield from scales[scales <= highest].tolist()


def _error(layer: Layer[LIF], fixed: Layer[LoihiLIF], form_JJ: Array) -> float:
    """Return the summed squared membrane error of all outputs."""
    return float(mean_square_error(error_terms(layer, fixed), form_JJ).sum())


def _integers(fixed: Layer[LoihiLIF]) -> NDArray[np.float64]:
    """Return weights and bias as the terms of an error; the threshold's place holds zero."""
    outputs = len(fixed.synapse.weight)
    rows_OK = fixed.synapse.weight.reshape(outputs, -1)
    integers_OJ = np.zeros((outputs, rows_OK.shape[1] + 2))
    integers_OJ[:, :-2] = rows_OK
    if fixed.synapse.bias_O is not None:
        integers_OJ[:, -2] = fixed.synapse.bias_O
    return integers_OJ


def _lattice(fixed: Layer[LoihiLIF], step: int) -> tuple[Lattice, NDArray[np.float64]]:
    """Return the values that weights and bias can take, and one step of each in its register."""
    synapses, has_bias = fixed.synapse.weight[0].size, fixed.synapse.bias_O is not None
    integer_J = np.append(np.full(synapses, float(step)), [1.0, 1.0])
    free_J = np.append(np.ones(synapses), [float(has_bias), 0.0])
    lowest, highest = level_range(step)
    lowest_J = np.append(np.full(synapses, lowest), [BIAS.minimum, 0])
    highest_J = np.append(np.full(synapses, highest), [BIAS.maximum, 0])
    return Lattice(free_J * integer_J / fixed.scale, lowest_J, highest_J), integer_J
