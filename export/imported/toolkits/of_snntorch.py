"""snnTorch 1.0.0 (`export_nir.py`, `_neurons/{leaky,synaptic,rleaky,rsynaptic}.py`).

    Leaky: v = β·v + x;   Synaptic: i = α·i + x,  v = β·v + i;   R…: and its own spikes through V
    a spike s where v > ϑ;  τ = dt/(1 − β), R = τ/dt,  w_in = τ_syn/dt,  dt = 0.1 ms

A reset comes at the next step (`reset_delay=True`, the default):

    subtract     v[t] = β·v[t−1] + x[t] − ϑ·s[t−1] = β·(v[t−1] − ϑ·s[t−1]) + x[t] − (1 − β)·ϑ·s[t−1]
    zero         Leaky: v[t] = β·0 + x[t] where s[t−1], as if at once;  others: v[t] = 0 there

so subtraction is one at once and a weight of −(1 − β)·ϑ from each neuron to itself, and the others'
reset to zero a refractory period of one step. With `reset_delay=False` it comes at once; by
subtraction what is left above ϑ is then taken down once more for the next decision.
"""

from dataclasses import replace

import numpy as np

from export.imported.graph import Neuron
from export.imported.toolkits.reasons import because
from export.imported.toolkits.toolkit import NO_LEAK, Read, Setting, Told, Toolkit, must_be
from export.network import Array

_DELAY = "reset_delay is not in the file: read as True, its default; --setting reset_delay=False"


def _read(node: Neuron, in_cycle: bool, told: Told) -> Read:
    assert node.tau is not None
    _hold_to_exporter(node, told.dt)
    endless = np.isposinf(node.r) & np.isposinf(node.tau)
    r = np.where(endless, NO_LEAK, node.r.astype(np.float64))
    same = (because("endless", "no leak"),) if endless.any() else ()
    node = replace(node, r=r, tau=r * told.dt)
    if node.w_in is not None:
        w_in = node.w_in.astype(np.float64)
        node = replace(node, w_in=w_in, tau_syn=w_in * told.dt)
    if node.v_threshold is None:
        return Read(node, same)
    none = because("no-reset", 'reset_mechanism="none" is not in the file, and has no place here')
    if told.reset == "zero":
        return _to_zero(Read(node, same, (none,)), in_cycle, told)
    kept_N = np.where(endless, 0.0, node.v_threshold / r)
    return _by_subtraction(Read(node, same, (none,)), kept_N, told)


def _hold_to_exporter(node: Neuron, dt: float) -> None:
    assert node.tau is not None
    for key in ("v_leak", "v_reset"):
        if key in node.parameters:
            must_be(node, key, 0.0, "0")
    must_be(node, "r", node.tau / dt, "tau/dt with dt = 0.0001")
    if node.tau_syn is not None:
        must_be(node, "w_in", node.tau_syn / dt, "tau_syn/dt with dt = 0.0001")


def _to_zero(read: Read, in_cycle: bool, told: Told) -> Read:
    node = read.node
    if node.tau_syn is None and not in_cycle:
        return read
    name = "lost-input" if node.tau_syn is not None else "lost-input-in-cycles"
    unsaid = (*read.unsaid, *told.unless_given("reset_delay", because(name, _DELAY)))
    if not told.is_true("reset_delay"):
        return replace(read, unsaid=unsaid)
    held = because(name, "held at zero for the step behind a spike")
    node = replace(node, refractory=1)
    return replace(read, node=node, same=(*read.same, held), unsaid=unsaid)


def _by_subtraction(read: Read, kept_N: Array, told: Told) -> Read:
    """Take off a late reset's further ϑ·(1 − β), where there is a leak."""
    unsaid = (*read.unsaid, *told.unless_given("reset_delay", because("late-reset", _DELAY)))
    if not told.is_true("reset_delay"):
        twice = "what is left above ϑ counts twice; equal where no membrane passes 2·ϑ"
        return replace(read, unsaid=unsaid, apart=(because("left-over", twice),))
    if not kept_N.any():
        return replace(read, unsaid=unsaid)
    if read.node.tau_syn is not None:
        late = "a reset behind the leak of a synaptic current's membrane has no place; at once here"
        return replace(read, unsaid=unsaid, apart=(because("late-reset", late),))
    late = because("late-reset", "at once, and a weight of −(1 − β)·ϑ from each neuron to itself")
    return replace(read, same=(*read.same, late), unsaid=unsaid, own_N=-kept_N)


SNNTORCH = Toolkit(
    "snntorch",
    "snnTorch",
    "1.0.0",
    1e-4,
    False,
    ("Affine", "AvgPool2d", "Conv2d", "CubaLIF", "Flatten", "LIF", "Linear"),
    _read,
    {"reset_delay": Setting(("True", "False"), ("LIF", "CubaLIF"))},
    remarks={"AvgPool2d": because("lost-padding", "padding is not in the file: read as 0")},
)
