"""What stands in for a network on a target that cannot run it, made where a user asks for it.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.contract_file import write_network
from export.network import FixedPointNetwork
from hardware.loihi.approximate import (
    Disagreement,
    approximate_reset,
    disagreement,
    plain_reset,
)
from pipeline.progress import Reporter

APPROXIMATED = "network.approximated.safetensors"
MOST_RECORDINGS = 20
"""That choose what stands in for each layer."""
RANDOM_RECORDINGS, _RANDOM_DENSITY = 8, 0.2
U8 = NDArray[np.uint8]


def random_spikes(network: FixedPointNetwork) -> U8:
    """Return recordings of random spikes, where a network has none of its own to be held to."""
    shape = (RANDOM_RECORDINGS, network.steps, *network.input_shape)
    return (np.random.default_rng(0).random(shape) < _RANDOM_DENSITY).astype(np.uint8)


def write_approximated(
    fixed: FixedPointNetwork, spikes_BTCHW: U8 | None, folder: Path, reporter: Reporter
) -> dict[str, Any]:
    """Write what stands in for `fixed` on `loihi`, and return facts on it.

    Among them is what a mere reset to zero would have made differ (`plain_reset`), by layer.
    Random spikes take the place of recordings where there are none.

    Raises:
        HardspikeError: as `hardware.loihi.approximate.approximate_reset`.
    """
    spikes = random_spikes(fixed) if spikes_BTCHW is None else spikes_BTCHW
    with reporter.bar("approximate the reset", "layers") as progress:
        found = approximate_reset(fixed, spikes, progress)
    write_network(found, folder / APPROXIMATED)
    facts = layer_facts(disagreement(fixed, found, spikes))
    for fact, plain in zip(
        facts, disagreement(fixed, plain_reset(fixed), spikes).layers, strict=True
    ):
        fact["plain_reset"] = plain.differing
        reporter.line(
            f"convert   for loihi, {fact['layer']}: {fact['says']}; "
            f"{100 * fact['differing']:.3g}% of its spikes differ "
            f"({100 * plain.differing:.3g}% under a mere reset to zero)"
        )
    return {
        "recordings": "random" if spikes_BTCHW is None else "held out",
        "n": len(spikes),
        "layers": facts,
    }


def layer_facts(found: Disagreement) -> list[dict[str, Any]]:
    """Return, a layer, what stands in for it and the share of its spikes that differ."""
    return [
        {
            "layer": layer.layer,
            "says": layer.says,
            "threshold_factor": layer.factor,
            "differing": layer.differing,
            "worst": layer.worst,
        }
        for layer in found.layers
    ]
