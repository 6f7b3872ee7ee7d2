"""What is known of a toolkit, and what its reader makes of one node."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from export.errors import HardspikeError
from export.imported.graph import Neuron
from export.imported.toolkits.names import ToolkitName
from export.imported.toolkits.reasons import because
from export.network import Array, Reset

_ROUNDED = 1e-5
"""Relative: how far parameters may be off that depend on each other: exporters have float32."""
NO_LEAK = 2.0**60
"""R of a neuron without a leak: in float64 1 − 1/R is 1, and (1/R)·R is too."""
AT_THRESHOLD = because("at-threshold", "v ≥ ϑ: above the next float32 below ϑ")
TIES = because(
    "at-threshold", "in whole numbers, after conversion, a tie falls as its scale rounds"
)


@dataclass(frozen=True)
class Setting:
    """A keyword argument of a toolkit's neurons that its files do not hold.

    `values` are those that can be read, the default first; with `bounds`, a number from the first
    to the second as well. `kinds` are the nodes whose neurons have it.
    """

    values: tuple[str, ...]
    kinds: tuple[str, ...]
    bounds: tuple[int | float, int | float] | None = None


@dataclass(frozen=True)
class Told:
    """What holds of a file: its toolkit's step, the reset, and settings; `given` by the user."""

    dt: float
    reset: Reset
    settings: Mapping[str, str]
    given: frozenset[str]

    def is_true(self, name: str) -> bool:
        """Whether a setting of True and False is True."""
        return self.settings[name] == "True"

    def unless_given(self, name: str, says: str) -> tuple[str, ...]:
        """Return what there is to say of a setting that the user did not give."""
        return () if name in self.given else (says,)


@dataclass(frozen=True, eq=False)
class Read:
    """Neurons as their toolkit runs them.

    `same` says what was rewritten so that nothing differs; `unsaid` what the file does not say, and
    how it was read; `apart` what the contract has no place for. `own_N` is what a spike adds to its
    own neuron's input at the next step.
    """

    node: Neuron
    same: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    own_N: Array | None = None


@dataclass(frozen=True)
class Toolkit:
    """A toolkit whose files can be told.

    `dt` is the step that its files are written for; `takes_dt` says whether its exporter lets one
    choose. `kinds` are the nodes that it writes, `settings` what its files leave open, by name.
    `reset` is the only one that it writes, where there is one. `remarks` are on kinds of nodes.

    `read` is given neurons and whether their spikes come back to them. It raises a HardspikeError
    where the toolkit does not write such neurons, or has no such reset.
    """

    name: ToolkitName
    title: str
    version: str
    dt: float
    takes_dt: bool
    kinds: tuple[str, ...]
    read: Callable[[Neuron, bool, Told], Read]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    reset: Reset | None = None
    remarks: Mapping[str, str] = field(default_factory=dict)


def must_be(node: Neuron, key: str, wanted: Array | float, what: str) -> None:
    """Hold a parameter to what an exporter writes; `what` says that in words.

    Raises:
        HardspikeError: it is another.
    """
    values = node.parameters[key].astype(np.float64)
    expected = np.broadcast_to(np.asarray(wanted, np.float64), values.shape)
    wrong = ~np.isclose(values, expected, rtol=_ROUNDED, atol=0.0)
    if wrong.any():
        found, allowed = values[wrong].flat[0], expected[wrong].flat[0]
        raise HardspikeError(f"{key}: found {found:.6g}, allowed {what} ({allowed:.6g})")


def at_threshold(node: Neuron) -> Neuron:
    """Return neurons that fire at v ≥ ϑ as ones that fire above the next float32 below ϑ.

    No membrane in float32 lies between. ϑ is counted from v_reset, as the contract counts it.
    """
    if node.v_threshold is None:
        return node
    rest = 0.0 if node.v_reset is None else node.v_reset.astype(np.float64)
    height = (node.v_threshold - rest).astype(np.float32)
    below = np.nextafter(height, np.float32(-np.inf)).astype(np.float64)
    lowered = np.where(np.isfinite(height), rest + below, node.v_threshold)
    return replace(node, v_threshold=np.asarray(lowered))
