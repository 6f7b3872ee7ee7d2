"""SpikingJelly 2.0.0 (`activation_based/nir_exchange/to_nir.py`, `neuron/base_node.py`).

    LIFNode: v = v + (v_reset − v + x)/τ, or v + (v_reset − v)/τ + x;   IFNode: v = v + x
    CUBALIFNode: i = c·i + x,  v = k·v + i;   a spike where v ≥ ϑ, then v = v_reset at once

Its constants are Euler's for the dt of the export. A reset by subtraction is not exported.
"""

from export.errors import HardspikeError
from export.imported.graph import Neuron
from export.imported.toolkits.toolkit import (
    AT_THRESHOLD,
    TIES,
    Read,
    Told,
    Toolkit,
    at_threshold,
    must_be,
)


def _read(node: Neuron, _in_cycle: bool, told: Told) -> Read:
    try:
        _hold_to_exporter(node, told.dt)
    except HardspikeError as error:
        raise HardspikeError(
            f"{error}, with dt = {told.dt:g}; if the export had another, give --dt"
        ) from error
    if node.v_threshold is None:
        return Read(node)
    return Read(at_threshold(node), (AT_THRESHOLD,), (TIES,))


def _hold_to_exporter(node: Neuron, dt: float) -> None:
    if node.tau is None:
        must_be(node, "r", 1 / dt, "1/dt")
        return
    assert node.v_leak is not None
    if node.tau_syn is None:
        if node.v_reset is not None:
            must_be(node, "v_leak", node.v_reset, "v_reset")
        if not (node.r == 1).all():
            must_be(node, "r", node.tau / dt, "1 or tau/dt")
        return
    must_be(node, "v_leak", 0.0, "none")
    must_be(node, "r", node.tau / dt, "tau_mem/dt")
    must_be(node, "w_in", node.tau_syn / dt, "tau_syn/dt")


SPIKINGJELLY = Toolkit(
    "spikingjelly",
    "SpikingJelly",
    "2.0.0",
    1e-4,
    True,
    (
        *("Affine", "AvgPool2d", "Conv1d", "Conv2d", "CubaLIF", "Flatten", "IF", "LIF"),
        "Linear",
    ),
    _read,
    reset="zero",
)
