"""What a suite asks for: rows of corruptions and of faults, each at several severities."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self, assert_never

from pydantic import Field, field_validator, model_validator

from export.errors import HardspikeError
from export.network import FixedPointNetwork
from hardware.faults import Draw, bit_flips, dead_neurons, stuck_weights, threshold_drift
from pipeline.config_file import parse_model, read_tree
from pipeline.data import corruptions
from pipeline.data.corruptions import Corruption, Share
from pipeline.schema import Model

_ROWS = ("events", "faults")


class DeadNeurons(Model):
    """Each neuron is dead with probability `share`: it takes no input and never fires."""

    kind: Literal["dead_neurons"]
    share: Share


class StuckWeights(Model):
    """Each stored weight is fixed at 0, or at the largest level (positive), with these shares."""

    kind: Literal["stuck_weights"]
    share_at_zero: Share
    share_at_largest: Share

    @model_validator(mode="after")
    def _shares_are_of_one_whole(self) -> Self:
        if (both := self.share_at_zero + self.share_at_largest) > 1:
            raise ValueError(f"share_at_zero + share_at_largest is {both:g}; at most 1 is allowed")
        return self


class BitFlips(Model):
    """Each bit of a stored weight (two's complement) is flipped with `probability_per_bit`."""

    kind: Literal["bit_flips"]
    probability_per_bit: Share


class ThresholdDrift(Model):
    """Thresholds are off by a normal error of `relative_sd`, one a neuron or one a layer.

    Lava's neurons of a layer share one threshold: `loihi` runs `each: layer` alone.
    """

    kind: Literal["threshold_drift"]
    relative_sd: Annotated[float, Field(ge=0, le=10)]
    each: Literal["neuron", "layer"] = "neuron"


Fault = DeadNeurons | StuckWeights | BitFlips | ThresholdDrift
EventRow = Annotated[
    tuple[Annotated[Corruption, Field(discriminator="kind")], ...], Field(min_length=1)
]
FaultRow = Annotated[tuple[Annotated[Fault, Field(discriminator="kind")], ...], Field(min_length=1)]


class Suite(Model):
    """Rows of one kind each. Every fault is drawn `fault_draws` times, and its accuracies meaned.

    Recordings are many and each has a draw of its own; of a chip there is one, and a single draw
    says more of luck than of the network.
    """

    events: tuple[EventRow, ...] = ()
    faults: tuple[FaultRow, ...] = ()
    fault_draws: Annotated[int, Field(ge=1, le=100)] = 3

    @field_validator("events", "faults")
    @classmethod
    def _each_once(cls, rows: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [label(one) for row in rows for one in row]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"found {', '.join(twice)} more than once; each is allowed once")
        return rows


def load_suite(path: Path) -> Suite:
    """Read a suite. In a row, lists of one length give its severities; the rest holds for all.

    Raises:
        HardspikeError: the file cannot be read or has faults; one line a fault.
    """
    tree = read_tree(path)
    for key in _ROWS:
        if isinstance(tree.get(key), list):
            tree[key] = [
                list(_severities(row, f"{path}: {key}.{place}"))
                for place, row in enumerate(tree[key])
            ]
    return parse_model(Suite, tree, str(path), lambda key: _place(path, key))


def _severities(row: Any, where: str) -> Iterator[Any]:
    lists = {key: v for key, v in row.items() if isinstance(v, list)} if type(row) is dict else {}
    if not lists:
        yield row
        return
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1 or 0 in lengths:
        found = ", ".join(f"{len(values)} of {key}" for key, values in lists.items())
        raise HardspikeError(f"{where}: found {found}; allowed are lists of one length, 1 or more")
    for at in range(lengths.pop()):
        yield row | {key: values[at] for key, values in lists.items()}


def _place(path: Path, key: str) -> str:
    """Say which severity of which row a dotted path is of."""
    top, *numbers = key.split(".")[:3]
    if top in _ROWS and len(numbers) == 2 and all(number.isdecimal() for number in numbers):
        row, severity_ = (int(number) + 1 for number in numbers)
        return f"{path}: row {row}, severity {severity_}"
    return str(path)


def title(one: Corruption | Fault) -> str:
    """Return the name of the row that a corruption or a fault is of."""
    words = one.kind.replace("_", " ")
    return f"{words}, each {one.each}" if isinstance(one, ThresholdDrift) else words


def severity(one: Corruption | Fault) -> str:
    """Return the severity with its unit."""
    match one:
        case DeadNeurons():
            return f"{100 * one.share:g}%"
        case StuckWeights():
            return f"{100 * one.share_at_zero:g}% at 0, {100 * one.share_at_largest:g}% at top"
        case BitFlips():
            return f"{one.probability_per_bit:g} a bit"
        case ThresholdDrift():
            return f"sd {100 * one.relative_sd:g}%"
        case _:
            return corruptions.severity(one)


def label(one: Corruption | Fault) -> str:
    """Return row and severity in words."""
    return f"{title(one)} {severity(one)}"


def broken(
    network: FixedPointNetwork, fault: Fault, weight_bits: int, draw: Draw
) -> FixedPointNetwork:
    """Return the network with the fault.

    Raises:
        HardspikeError: its weights are not of `weight_bits` bits.
    """
    match fault:
        case DeadNeurons():
            return dead_neurons(network, fault.share, draw)
        case StuckWeights():
            zero, largest = fault.share_at_zero, fault.share_at_largest
            return stuck_weights(network, zero, largest, weight_bits, draw)
        case BitFlips():
            return bit_flips(network, fault.probability_per_bit, weight_bits, draw)
        case ThresholdDrift():
            by_neuron = fault.each == "neuron"
            return threshold_drift(network, fault.relative_sd, draw, by_neuron=by_neuron)
        case _:
            assert_never(fault)
