"""What the study compares: the toolkits, the steps they write and read files with, and their ways.

A `Change` is one way in which a toolkit departs from the reading that NIR suggests. The lists name
those that the toolkit's source shows; which of them are at work in a network is found by running
it (`explain`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.interop_study.reading import Reading
from benchmarks.study.packages import Packages

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
    option: str = ""
    """What tells `hardspike import` of it, where anything does."""

    def applied(self, reading: Reading) -> Reading:
        """Return the reading with this departure."""
        return replace(reading, **self.fields)


@dataclass(frozen=True)
class Toolkit:
    """A toolkit: its title and packages, and its ways.

    `dt` is the step in seconds that its files are written with. `reads_dt` is the step that its
    reader takes whatever the file says, None where it can be told. `changes` are tried in order.
    """

    name: str
    title: str
    dt: float
    reads_dt: float | None
    changes: tuple[Change, ...]

    @property
    def worker(self) -> Path:
        """The script that runs on the toolkit's packages."""
        return WORKERS / f"{self.name}_worker.py"

    @property
    def packages(self) -> Packages:
        """What it needs."""
        return Packages(self.name, WORKERS / f"{self.name}.requirements.txt")


SUBTRACT = Change("subtract", "resets by subtraction", {"reset": "subtract"}, "--reset subtract")
NO_RESET = Change("no-reset", "does not reset at all", {"reset": "none"})
AFTER_LEAK = Change(
    "late-reset",
    "subtracts at the next step, after its leak",
    {"reset": "subtract", "late": "after the leak"},
)
LOSES_INPUT = Change(
    "lost-input", "resets at the next step, whose input is lost with it", {"late": "with its input"}
)
LOOP_LOSES_INPUT = Change(
    "lost-input-in-cycles",
    "resets recurrent layers at the next step, whose input is lost with it",
    {"late": "with its input", "late_in_cycles": True},
)
LEFT_OVER = Change(
    "left-over",
    "takes what a subtraction leaves above the threshold down by one more before it decides",
    {"late": "what is left"},
)
AT_THRESHOLD = Change(
    "at-threshold", "fires at the threshold, not above it alone", {"at_threshold": True}
)
MANY_SPIKES = Change("many-spikes", "fires several spikes in one step", {"many_spikes": True})
EXPONENTIAL = Change(
    "exponential", "keeps exp(−dt/τ) of the membrane, not 1 − dt/τ", {"exponential": True}
)
WHOLE_INPUT = Change("whole-input", "adds the input itself, not its share", {"whole_input": True})
ENDLESS = Change(
    "endless", "writes a decay of 1 as τ = R = ∞, which has no step", {"whole_input": True}
)
WHOLE_READOUT = Change(
    "whole-readout", "adds a readout's input itself, not its share", {"whole_readout": True}
)
WHOLE_CURRENT = Change(
    "whole-current", "adds the spikes themselves to the current", {"whole_current": True}
)
HIDDEN_CURRENT = Change(
    "hidden-current",
    "has a synaptic current that the file says nothing of",
    {"hidden_tau_syn": 3.0},
)
FLOOR = Change("floor", "keeps the membrane above −threshold", {"floor": True})
IGNORED_R = Change("ignored-r", "takes R for 1 whatever the file says", {"ignored_r": True})
LEAKY_IF = Change("leaky-if", "gives IF nodes a leak, 0.9 a step", {"if_keeps": 0.9})


UNIT_STEP = Change(
    "unit-step",
    "adds an IF node's input whole; a step of 1 s makes up for it",
    {"dt": 1.0},
    "--dt 1",
)
STEP_SQUARED = Change(
    "step-squared",
    "writes dt·τ for τ; a step of dt² = 1e-6 s makes up for it",
    {"dt": 1e-6},
    "--dt 1e-06",
)


def fixed_step(seconds: float) -> Change:
    """Return the departure of a reader that has a step of its own."""
    return Change(
        f"fixed-step-{seconds:g}",
        f"takes a step of {seconds:g} s whatever the file says",
        {"dt": seconds},
    )


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
            IGNORED_R,
            STEP_SQUARED,
        ),
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
    ),
)
