"""sinabs 3.1.3 (`sinabs/nir.py`, `layers/functional/lif.py`, `activation/spike_generation.py`).

    i = x, or exp(−1/τ_syn)·(i + x);   v = k·v + (1 − k)·i, or k·v + i;   k = exp(−1/τ)
    LIF: a spike, or ⌊v/ϑ⌋ of them, where v ≥ ϑ;   IAF: k = 1, i whole;   ExpLeak: x whole, no ϑ

Constants count steps. NIR's Euler step of 1 keeps as much where τ_nir = 1/(1 − k), and takes in the
whole input where R = τ_nir.
"""

from dataclasses import replace

import numpy as np

from export.imported.graph import Neuron
from export.imported.toolkits.reasons import because
from export.imported.toolkits.toolkit import (
    AT_THRESHOLD,
    NO_LEAK,
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
_CURRENT = because(
    "hidden-current",
    "tau_syn is not in the file: read as None, its default; --setting tau_syn=STEPS",
)
_FLOOR = because("floor", "min_v_mem is not in the file: read as None; from_model's own is −1")


def _read(node: Neuron, _in_cycle: bool, told: Told) -> Read:
    _hold_to_exporter(node)
    fires = node.v_threshold is not None
    same: tuple[str, ...] = (AT_THRESHOLD,) if fires else ()
    unsaid = (_FLOOR, TIES) if fires else (_FLOOR,)
    if node.tau is None:
        current = told.unless_given("tau_syn", _CURRENT)
        read = Read(at_threshold(node), same, (*unsaid, *current), _several_spikes(fires, told))
        return _behind_current(read, told)
    tau = _euler(node.tau)
    if node.kind == "LI":
        whole = because("whole-readout", "its input counts whole, as norm_input=False has it")
        return Read(replace(node, tau=tau, r=tau), (_EXPONENTIAL, whole), (_FLOOR,))
    node = at_threshold(replace(node, tau=tau))
    same = (_EXPONENTIAL, *same)
    if not told.is_true("norm_input"):
        node = replace(node, r=tau)
        same += (because("whole-input", "norm_input=False: its input counts whole"),)
    read = Read(node, same, (*unsaid, *_left_open(told)), _several_spikes(fires, told))
    return _behind_current(read, told)


def _hold_to_exporter(node: Neuron) -> None:
    must_be(node, "r", 1.0, "1")
    for key in ("v_leak", "v_reset"):
        if key in node.parameters:
            must_be(node, key, 0.0, "none")


def _euler(tau: Array) -> Array:
    """Return 1/(1 − exp(−1/τ))."""
    return np.asarray(-1 / np.expm1(-1 / tau.astype(np.float64)))


def _behind_current(read: Read, told: Told) -> Read:
    """Put i = c·(i + x), c = exp(−1/τ_syn), in front where a τ_syn is told: NIR's, w_in = c·τ_nir.

    NIR has no current before neurons without a leak, so theirs is one that float64 cannot tell
    from none.
    """
    if told.settings["tau_syn"] == "None":
        return read
    node, steps = read.node, float(told.settings["tau_syn"])
    if node.tau is None:
        endless = np.full(node.r.shape, NO_LEAK)
        node = replace(node, tau=endless, r=endless, v_leak=np.zeros(node.r.shape))
    constant = np.full(node.r.shape, _euler(np.array(steps)))
    w_in = constant * np.exp(-1 / steps)
    node = replace(node, kind="CubaLIF", tau_syn=constant, w_in=w_in)
    current = because("hidden-current", f"tau_syn={told.settings['tau_syn']}")
    return replace(read, node=node, same=(*read.same, current))


def _left_open(told: Told) -> tuple[str, ...]:
    """Say what a LIF's file leaves open and the user too."""
    input_share = because(
        "whole-input",
        "norm_input is not in the file: read as True, its default; --setting norm_input=False",
    )
    return (
        *told.unless_given("norm_input", input_share),
        *told.unless_given("tau_syn", _CURRENT),
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
        "norm_input": Setting(("True", "False"), ("LIF",)),
        "spike_fn": Setting(("MultiSpike", "SingleSpike"), ("IF", "LIF")),
        "tau_syn": Setting(("None",), ("IF", "LIF"), bounds=(0.1, 1_000_000)),
    },
)
