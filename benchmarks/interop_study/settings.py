"""What the study compares: the toolkits, the steps they write and read files with, and their ways.

A `Change` is one way in which a toolkit departs from the reading that NIR suggests. The lists name
those that the toolkit's source shows; which of them are at work in a network is found by running
it (`explain`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.interop_study.reading import Reading
from benchmarks.study.packages import Packages
from export.imported.toolkits.names import ToolkitName
from export.imported.toolkits.reasons import REASONS
from export.network import Reset

ROOT = Path(__file__).resolve().parents[2]
WORKERS = Path(__file__).with_name("toolkits")
PAGE = ROOT / "docs" / "studies" / "interop.md"
FIGURES = PAGE.with_suffix(".json")
STEPS, COUNT, SEED = 30, 4, 1


@dataclass(frozen=True)
class Change:
    """One departure: its name in figures, what the page says of it, and the fields it sets."""

    name: str
    text: str
    fields: Mapping[str, Any]

    def applied(self, reading: Reading) -> Reading:
        """Return the reading with this departure."""
        return replace(reading, **self.fields)


@dataclass(frozen=True)
class Built:
    """What a user of a network knows and its file does not say: the reset, and settings."""

    reset: Reset = "zero"
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Toolkit:
    """A toolkit: its title and packages, and its ways.

    `dt` is the step in seconds that its files are written with. `reads_dt` is the step that its
    reader takes whatever the file says, None where it can be told. `changes` are tried in order.
    `built` says how a network's neurons are set where that is not a reset to zero and defaults.
    """

    name: ToolkitName
    title: str
    dt: float
    reads_dt: float | None
    changes: tuple[Change, ...]
    built: Mapping[str, Built] = field(default_factory=dict)

    @property
    def worker(self) -> Path:
        """The script that runs on the toolkit's packages."""
        return WORKERS / f"{self.name}_worker.py"

    @property
    def packages(self) -> Packages:
        """What it needs."""
        return Packages(self.name, WORKERS / f"{self.name}.requirements.txt")


def _known(name: str, **fields: Any) -> Change:
    """Return a departure that `hardspike check --from` names too."""
    return Change(name, REASONS[name], fields)


SUBTRACT = Change("subtract", "resets by subtraction", {"reset": "subtract"})
NO_RESET = _known("no-reset", reset="none")
AFTER_LEAK = _known("late-reset", reset="subtract", late="after the leak")
LOSES_INPUT = _known("lost-input", late="with its input")
LOOP_LOSES_INPUT = _known("lost-input-in-cycles", late="with its input", late_in_cycles=True)
LEFT_OVER = _known("left-over", late="what is left")
AT_THRESHOLD = _known("at-threshold", at_threshold=True)
MANY_SPIKES = _known("many-spikes", many_spikes=True)
EXPONENTIAL = _known("exponential", exponential=True)
WHOLE_INPUT = _known("whole-input", whole_input=True)
ENDLESS = _known("endless", whole_input=True)
WHOLE_READOUT = _known("whole-readout", whole_readout=True)
WHOLE_CURRENT = _known("whole-current", whole_current=True)
HIDDEN_CURRENT = _known("hidden-current", hidden_tau_syn=3.0)
FLOOR = _known("floor", floor=True)
UNIT_STEP = _known("unit-step", dt=1.0)
STEP_SQUARED = _known("step-squared", dt=1e-6)
START_AT_LEAK = _known("start-at-leak", starts_at_leak=True)
UNWRITTEN_RESET = _known("unwritten-reset", hidden_v_reset=-0.25)
IGNORED_R = Change("ignored-r", "takes R for 1 whatever the file says", {"ignored_r": True})
LEAKY_IF = Change("leaky-if", "gives IF nodes a leak, 0.9 a step", {"if_keeps": 0.9})


def fixed_step(seconds: float) -> Change:
    """Return the departure of a reader that has a step of its own."""
    return Change(
        f"fixed-step-{seconds:g}",
        f"takes a step of {seconds:g} s whatever the file says",
        {"dt": seconds},
    )


_AT_ONCE = ("reset_delay=False",)
_ONE_SPIKE = Built("zero", ("spike_fn=SingleSpike",))

TOOLKITS: tuple[Toolkit, ...] = (
    Toolkit(
        "snntorch",
        "snnTorch",
        1e-4,
        1e-4,
        (
            SUBTRACT,
            NO_RESET,
            AFTER_LEAK,
            LOSES_INPUT,
            LOOP_LOSES_INPUT,
            LEFT_OVER,
            ENDLESS,
            LEAKY_IF,
            fixed_step(1e-4),
        ),
        {
            **dict.fromkeys(
                (
                    "conv-pool-subtract",
                    "cuba-subtract",
                    "dense-if-subtract",
                    "dense-lif-subtract",
                    "recurrent-subtract",
                ),
                Built("subtract"),
            ),
            "dense-lif-subtract-at-once": Built("subtract", _AT_ONCE),
            "cuba-at-once": Built("zero", _AT_ONCE),
            "cuba-bias": Built("zero", _AT_ONCE),
            "recurrent-at-once": Built("zero", _AT_ONCE),
        },
    ),
    Toolkit(
        "norse",
        "Norse",
        1e-3,
        None,
        (
            SUBTRACT,
            UNIT_STEP,
            WHOLE_CURRENT,
            START_AT_LEAK,
            UNWRITTEN_RESET,
            IGNORED_R,
            STEP_SQUARED,
        ),
        {"dense-lif-subtract": Built("subtract")},
    ),
    Toolkit("spikingjelly", "SpikingJelly", 1e-4, None, (AT_THRESHOLD,)),
    Toolkit(
        "sinabs",
        "sinabs",
        1.0,
        1.0,
        (
            SUBTRACT,
            AT_THRESHOLD,
            MANY_SPIKES,
            EXPONENTIAL,
            WHOLE_INPUT,
            WHOLE_READOUT,
            HIDDEN_CURRENT,
            FLOOR,
            fixed_step(1.0),
        ),
        {
            **dict.fromkeys(("dense-lif", "dense-if", "dense-if-floor", "readout"), _ONE_SPIKE),
            "dense-lif-whole-input": Built("zero", (*_ONE_SPIKE.settings, "norm_input=False")),
            "dense-lif-subtract": Built("subtract", _ONE_SPIKE.settings),
            **dict.fromkeys(
                ("cuba", "cuba-if"), Built("zero", (*_ONE_SPIKE.settings, "tau_syn=3"))
            ),
            "dense-lif-many-spikes": Built("subtract"),
            "dense-if-many-spikes": Built("subtract"),
            "conv-pool-inferred": Built("subtract"),
        },
    ),
)
