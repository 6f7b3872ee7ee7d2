"""From the hard float network to Loihi's integers.

Per layer one scale k (integer weight per float weight):

    step = 2^(9 − bits)                                weights are even at 8 bits, coarser below
    W′ = step · round(k·W / step)                      clipped to −256 … 256 − step
    bias′ = round(k·b)                                 the mantissa; its exponent of 6 is the
                                                       alignment that Σ W′s gets too
    vth = round(k·ϑ)                                   compared after the same alignment
    dv = round(4096 · (1 − τ)),  du = 4095 − round(4096 · c)      c = 0: no synaptic current

Without calibration recordings k is the largest that keeps the largest weight, the bias, the
threshold and the accumulator Σ|W′|x inside their registers, and nothing is clipped. With them,
`hardware.loihi.scale_search` chooses k, and on request the rounding, by the error of the membrane.
The current, Σ W′x shifted left by 6, may still wrap on rare inputs; the evaluation counts how often
it did.
"""

from collections.abc import Sequence
from typing import Any

from export.errors import HardspikeError
from export.network import LIF, FixedPointNetwork, HardSpikeNetwork, Layer, LoihiLIF
from hardware.loihi.layer_integers import Demands, at_largest_weight, clipped_share
from hardware.loihi.limits import check_integers
from hardware.loihi.scale_search import Rounding, ScaleBy, membrane_integers
from hardware.membrane_error import InputStatistics, damped, relative_error


def discretize(
    network: HardSpikeNetwork,
    weight_bits: int = 8,
    largest_readout: float = 0.0,
    statistics: Sequence[InputStatistics] | None = None,
    scale_by: ScaleBy = "membrane",
    rounding: Rounding = "membrane",
) -> FixedPointNetwork:
    """Return the fixed-point network of `network`, with weights of `weight_bits` bits.

    `largest_readout` is the largest |membrane| that a `membrane` readout showed on recordings: its
    layer has no threshold of its own, so the register's largest stands for it, and the scale leaves
    four times that membrane below it. `statistics`, one a layer in order, are what calibration
    recordings showed at the layers' inputs. By them the error of the membrane chooses the scale and
    the rounding, where `scale_by` and `rounding` say so; without them the largest weight sets the
    scale and every number is rounded to the nearest.

    Raises:
        HardspikeError: a layer cannot be represented; one line a violation with layer and limit.
    """
    layers, faults = [], []
    for index, layer in enumerate(network.layers):
        demands = Demands(weight_bits, 1 if index else network.input_max, largest_readout)
        shown = None if statistics is None else statistics[index]
        try:
            layers.append(_discretize_layer(layer, demands, shown, scale_by, rounding))
        except HardspikeError as error:
            faults.append(f"layer {layer.name}: {error}")
    if faults:
        raise HardspikeError(*faults)
    fixed = FixedPointNetwork(
        network.input_shape,
        tuple(layers),
        network.readout,
        network.steps,
        network.dt,
        network.classes,
        network.input_max,
    )
    check_integers(fixed)
    return fixed


def _discretize_layer(
    layer: Layer[LIF],
    demands: Demands,
    statistics: InputStatistics | None,
    scale_by: ScaleBy,
    rounding: Rounding,
) -> Layer[LoihiLIF]:
    usual = at_largest_weight(layer, demands)
    if statistics is None or statistics.gram_JJ is None:
        return usual
    form_JJ, drive = damped(statistics.gram_JJ), statistics.largest_drive
    return membrane_integers(layer, usual, demands, form_JJ, drive, scale_by, rounding)


def scale_facts(
    network: HardSpikeNetwork,
    fixed: FixedPointNetwork,
    weight_bits: int,
    largest_readout: float = 0.0,
    statistics: Sequence[InputStatistics] | None = None,
) -> list[dict[str, Any]]:
    """Return, a layer, its scale, and what it does to weights and membrane.

    `clipped` is the share of weights whose nearest level lies outside the register.
    `membrane_error` is the root mean square error over the calibration recordings as a share of the
    threshold, and `largest_weight_error` the same under `largest_weight_scale`; both are None where
    there are no recordings, or the layer is too wide for them.
    """
    facts = []
    for index, (layer, chosen) in enumerate(zip(network.layers, fixed.layers, strict=True)):
        demands = Demands(weight_bits, 1 if index else network.input_max, largest_readout)
        usual = at_largest_weight(layer, demands)
        gram_JJ = None if statistics is None else statistics[index].gram_JJ
        errors = [
            None if gram_JJ is None else relative_error(layer, one, gram_JJ)
            for one in (chosen, usual)
        ]
        facts.append(
            {
                "layer": layer.name,
                "scale": chosen.scale,
                "largest_weight_scale": usual.scale,
                "clipped": clipped_share(layer, chosen.scale, demands.step),
                "membrane_error": errors[0],
                "largest_weight_error": errors[1],
            }
        )
    return facts
