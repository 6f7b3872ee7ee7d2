"""sinabs 3.1.3 (`sinabs/nir.py`, `layers/functional/lif.py`, `activation/spike_generation.py`).

    i = x, or exp(−1/τ_syn)·(i + x);   v = k·v + (1 − k)·i, or k·v + i;   k = exp(−1/τ)
    LIF: a spike, or ⌊v/ϑ⌋ of them, where v ≥ ϑ;   IAF: k = 1, the whole input;   ExpLeak: no ϑ

Constants count steps. NIR's Euler step of 1 keeps as much where τ_nir = 1/(1 − k), and takes in the
whole input where R = τ_nir.
"""

from dataclasses import replace

import numpy as np

from export.imported.graph import Neuron
from export.imported.toolkits.reasons import because
from export.imported.toolkits.toolkit import (
    AT_THRESHOLD,
    TIES,
    Read,
    Setting,
    Told,
    Toolkit,
    at_threshold,
    must_be,
)
from export.network import Array

_EXPONENTIAL = because("exponential", "keeps exp(−1/τ) a step")
_FLOOR = because("floor", "min_v_mem is not in the file: read as None; from_model's own is −1")


def _read(node: Neuron, _in_cycle: bool, told: Told) -> Read:
    _hold_to_exporter(node)
    fires = node.v_threshold is not None
    same: tuple[str, ...] = (AT_THRESHOLD,) if fires else ()
    unsaid = (_FLOOR, TIES) if fires else (_FLOOR,)
    if node.tau is None:
        return Read(at_threshold(node), same, unsaid, _several_spikes(fires, told))
    tau = _euler(node.tau)
    if node.kind == "LI":
        whole = because("whole-readout", "its input counts whole, as norm_input=False has it")
        return Read(replace(node, tau=tau, r=tau), (_EXPONENTIAL, whole), (_FLOOR,))
    node = at_threshold(replace(node, tau=tau))
    same = (_EXPONENTIAL, *same)
    if not told.is_true("norm_input"):
        node = replace(node, r=tau)
        same += (because("whole-input", "norm_input=False: its input counts whole"),)
    if told.settings["tau_syn"] != "None":
        node = _with_current(node, float(told.settings["tau_syn"]))
        same += (because("hidden-current", f"tau_syn={told.settings['tau_syn']}"),)
    return Read(node, same, (*unsaid, *_left_open(told)), _several_spikes(fires, told))


def _hold_to_exporter(node: Neuron) -> None:
    must_be(node, "r", 1.0, "1")
    for key in ("v_leak", "v_reset"):
        if key in node.parameters:
            must_be(node, key, 0.0, "none")


def _euler(tau: Array) -> Array:
    """Return 1/(1 − exp(−1/τ))."""
    return np.asarray(-1 / np.expm1(-1 / tau.astype(np.float64)))


def _with_current(node: Neuron, steps: float) -> Neuron:
    """Return neurons with i = c·(i + x), c = exp(−1/τ_syn): NIR's with w_in = c·τ_nir."""
    assert node.tau is not None
    constant = np.full_like(node.tau, _euler(np.array(steps)))
    return replace(node, kind="CubaLIF", tau_syn=constant, w_in=constant * np.exp(-1 / steps))


def _left_open(told: Told) -> tuple[str, ...]:
    """Say what a LIF's file leaves open and the user too."""
    input_share = because(
        "whole-input",
        "norm_input is not in the file: read as True, its default; --setting norm_input=False",
    )
    current = because(
        "hidden-current",
        "tau_syn is not in the file: read as None, its default; --setting tau_syn=STEPS",
    )
    return (
        *told.unless_given("norm_input", input_share),
        *told.unless_given("tau_syn", current),
    )


def _several_spikes(fires: bool, told: Told) -> tuple[str, ...]:
    if not fires or told.settings["spike_fn"] == "SingleSpike":
        return ()
    several = "spike_fn=MultiSpike, its default, fires ⌊v/ϑ⌋ times a step, here once"
    return (because("many-spikes", f"{several}; --setting spike_fn=SingleSpike if it has that"),)


SINABS = Toolkit(
    "sinabs",
    "sinabs",
    "3.1.3",
    1.0,
    False,
    ("Affine", "Conv1d", "Conv2d", "Flatten", "IF", "LI", "LIF", "SumPool2d"),
    _read,
    {
        "norm_input": Setting(("True", "False")),
        "spike_fn": Setting(("MultiSpike", "SingleSpike")),
        "tau_syn": Setting(("None",), number=True),
    },
)
