"""The tables and the page of `hardspike energy`."""

from collections.abc import Mapping, Sequence
from typing import Any

from hardware.loihi_cost.simulated import PRICES_PJ

FOLDER, JSON, PAGE = "energy", "energy.json", "energy.md"
Row = Sequence[str]
_UNITS = {"joules": ("µJ", 1e6), "seconds": ("µs", 1e6)}
_ROWS = (
    ("joules", "synapse", "synapses"),
    ("joules", "dendrite", "dendrites"),
    ("joules", "soma", "neurons"),
    ("joules", "network", "network on chip"),
    ("joules", "total", "energy an inference"),
    ("seconds", "computing", "computing"),
    ("seconds", "synchronisation", "synchronisation"),
    ("seconds", "total", "time an inference"),
)
_SYNAPSE, _SOMA, _NETWORK = (PRICES_PJ[part] for part in ("synapse", "soma", "network"))
WHY = (
    f"Synapses: SANA-FE asks {_SYNAPSE['conv']:g} pJ an operation of a convolution, "
    f"{_SYNAPSE['dense']:g} of a dense and {_SYNAPSE['sparse']:g} of a sparse list; the constant "
    "is 23.6 pJ, a minimum.",
    f"Neurons: {_SOMA['access']:g} pJ a neuron and step, {_SOMA['update']:g} more for one with "
    f"something to update and {_SOMA['spike']:g} more for a spike; the constants are 52 and 81 pJ, "
    "with nothing for a spike.",
    f"Network: {_NETWORK['message']:g} pJ to look up and send each message, and its hops; the "
    "constants are 1.7 pJ a message and its hops.",
    "Computing: SANA-FE follows every message through core and mesh; the constants are added up "
    "core by core, the slowest of each step counting.",
    "Synchronisation: SANA-FE's table has 0.6 to 1.8 µs a step, housekeeping in it; the constants "
    "are 113 to 465 ns, the mesh's barrier alone. Neither gives it energy.",
    "SANA-FE's prices start from the same table of pre-silicon figures, so where the two agree is "
    "no second measurement.",
)


def cost_rows(report: Mapping[str, Any]) -> list[Row]:
    """Return the two estimates side by side, header first."""
    first, second = report["simulated"], report["published"]
    rows: list[Row] = [("", "SANA-FE", "published constants", "factor")]
    for quantity, part, name in _ROWS:
        unit, scale = _UNITS[quantity]
        factor = report["factor"][quantity].get(part)
        rows.append(
            (
                name,
                _figure(first[quantity].get(part), unit, scale),
                _figure(second[quantity].get(part), unit, scale),
                "" if factor is None else f"{factor:.2f}",
            )
        )
    return rows


def _figure(figure: Mapping[str, float] | None, unit: str, scale: float) -> str:
    if figure is None:
        return "not priced"
    spread = f" ± {figure['sd'] * scale:.2g}" if figure["sd"] else ""
    return f"{figure['mean'] * scale:.3g}{spread} {unit}"


def mapping_rows(report: Mapping[str, Any]) -> list[Row]:
    """Return what every layer takes of the chip, header first, the limits last.

    Neurons, axons and memory of a core are those of the layer's fullest core.
    """
    placed = report["mapping"]
    limits = placed["limits"]
    rows: list[Row] = [
        ("layer", "neurons", "cores", "neurons/core", "axons in", "axons out", "synapses", "KB")
    ]
    for layer in placed["layers"]:
        stored = "" if layer["format"] is None else f"{layer['synapses']:,} {layer['format']}"
        rows.append(
            (
                layer["name"],
                f"{layer['neurons']:,}",
                str(layer["cores"]),
                *(f"{layer[key]:,}" for key in ("compartments", "input_axons", "output_axons")),
                stored,
                _kilobytes(layer["synapse_words"]),
            )
        )
    rows.append(
        (
            "all; limit",
            "",
            f"{placed['cores']}; {limits['cores']}",
            *(f"{limits[key]:,}" for key in ("compartments", "input_axons", "output_axons")),
            "",
            _kilobytes(limits["synapse_words"]),
        )
    )
    return rows


def _kilobytes(words: int) -> str:
    return f"{words * 8 / 1024:.1f}"


def notes(report: Mapping[str, Any]) -> list[str]:
    """Return what must be said with the figures."""
    first, steps = report["simulated"], report["steps"]
    error = first["published_error"]
    return [
        f"{first['label']}: published error {error['energy']:.0%} in energy and "
        f"{error['latency']:.0%} in latency ({first['source']}). "
        f"{report['published']['label']}: {report['published']['source']}, pre-silicon.",
        f"Mean ± sd over {report['recordings']['n']} test recordings of {steps['recording']} "
        f"steps; {steps['chip']} on the chip, for a spike takes a step a layer.",
        _agreement_note(report["agreement"]),
        f"In neither: {'; '.join(report['left_out'])}.",
    ]


def _agreement_note(agreement: Mapping[str, Any]) -> str:
    share = min(agreement["spikes"])
    if share < 1 or agreement["strays"]:
        return (
            f"SANA-FE's spikes are not the reference's: equal in {min(100 * share, 99.9999):.4f}% "
            f"of the layer that differs most, {agreement['strays']} outside of its steps."
        )
    wrong = [key.replace("_", " ") for key, same in agreement["counts"].items() if not same]
    counts = f"its counts differ in {', '.join(wrong)}" if wrong else "and so is every count"
    return f"Every spike of SANA-FE's is the reference's, {counts} of operations."


def markdown(report: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    return "\n".join(
        [
            f"# {report['name']} on Loihi 1, modelled",
            "",
            "Nothing here was measured on a chip.",
            *_table(cost_rows(report)),
            "",
            *(f"{note}\n" for note in notes(report)),
            "## Where the two differ",
            "",
            *_differences(report["agreement"]),
            "",
            "## Cores",
            *_table(mapping_rows(report)),
            "",
            "Neurons, axons and memory of a core are those of the layer's fullest; a tile has four "
            f"cores, {report['mapping']['tiles']} tiles are in use. Weights of a convolution are "
            "counted once a synapse, though the chip can share them.",
            "",
            "## Operations an inference",
            *_table(operation_rows(report)),
            "",
        ]
    )


def _differences(agreement: Mapping[str, Any]) -> list[str]:
    same = all(agreement["counts"].values())
    first = (
        "Both price the same operations, so" if same else "Their counts differ too. Beside that,"
    )
    return [f"{first} what differs is the price:", "", *(f"- {line}" for line in WHY)]


def operation_rows(report: Mapping[str, Any]) -> list[Row]:
    """Return the counted operations, header first."""
    return [
        ("operation", "count"),
        *(
            (key.replace("_", " "), f"{count['mean']:,.0f} ± {count['sd']:,.0f}")
            for key, count in report["operations"].items()
        ),
    ]


def energy_section(report: Mapping[str, Any] | None) -> list[str]:
    """Return the section of a run's page, nothing where there is no energy report."""
    if report is None:
        return []
    return ["", "## Loihi 1, modelled", *_table(cost_rows(report)), "", *notes(report)[:1]]


def _table(rows: Sequence[Row]) -> list[str]:
    header, *body = rows
    lines = [header, tuple("---" for _ in header), *body]
    return ["", *("| " + " | ".join(cells) + " |" for cells in lines)]
