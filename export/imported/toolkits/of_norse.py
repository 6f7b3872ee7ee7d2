"""Norse 1.1.0 (`torch/utils/export_nir.py`, `torch/functional/{lif_box,lif,iaf}.py`).

    LIFBoxCell, LIBoxCell: v = v + dt·τ⁻¹·(x + v_leak − v);   IAFCell: v = v + x
    LIFCell: i' = i + x,  v = v + dt·τ⁻¹·(v_leak − v + i'),  i = (1 − dt·τ_syn⁻¹)·i'
    a spike where v > ϑ, then v = v_reset at once, or v − ϑ by a LIFBoxCell's `reset_method`

The exporter writes dt/τ⁻¹ for τ, R = 1, and no v_reset. Its dt is read as the neurons' own.
"""

from dataclasses import replace

import numpy as np

from export.errors import HardspikeError
from export.imported.graph import Neuron
from export.imported.toolkits.reasons import because
from export.imported.toolkits.toolkit import Read, Told, Toolkit, must_be

_UNWRITTEN = because("unwritten-reset", "v_reset is not in the file: read as 0, its default")
_STARTS = because("start-at-leak", "membranes start at v_leak, here at 0")


def _read(node: Neuron, _in_cycle: bool, told: Told) -> Read:
    must_be(node, "r", 1.0, "1")
    if node.v_reset is not None:
        must_be(node, "v_reset", 0.0, "none")
    unsaid = () if node.v_threshold is None else (_UNWRITTEN,)
    if unsaid and told.reset == "subtract" and node.kind != "LIF":
        cell = "IAFCell" if node.kind == "IF" else "LIFCell"
        raise HardspikeError(f"reset: found 'subtract', allowed 'zero': an {cell} has no other")
    if node.tau is None:
        whole = because("unit-step", "its input counts whole")
        return Read(replace(node, r=node.r.astype(np.float64) / told.dt), (whole,), unsaid)
    assert node.v_leak is not None
    apart = (_STARTS,) if node.v_leak.any() else ()
    tau = node.tau.astype(np.float64) / told.dt
    node = replace(node, tau=tau)
    seconds = f"a τ of {tau.min():g} s" + ("" if tau.min() == tau.max() else f" to {tau.max():g} s")
    same: tuple[str, ...] = (because("step-squared", f"{seconds}, once the file's is over dt"),)
    if node.tau_syn is not None:
        must_be(node, "w_in", 1.0, "1")
        constant = node.tau_syn.astype(np.float64) / told.dt
        node = replace(node, tau_syn=constant, w_in=constant / told.dt)
        same += (because("whole-current", "spikes enter the current whole"),)
    return Read(node, same, unsaid, apart)


NORSE = Toolkit(
    "norse",
    "Norse",
    "1.1.0",
    1e-3,
    True,
    ("Affine", "Conv2d", "CubaLIF", "IF", "LI", "LIF"),
    _read,
)
