"""NeuroBench's measures in a report; a run of before they were taken has none."""

from collections.abc import Mapping, Sequence
from typing import Any


def neurobench_rows(measures: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table of NeuroBench's measures under its names, header first."""
    operations = measures["synaptic_operations"]
    return [
        ("measure", "value", "unit"),
        ("footprint", f"{measures['footprint']:,}", "bytes"),
        ("connection sparsity", f"{measures['connection_sparsity']:.4f}", "of the weights"),
        ("activation sparsity", f"{measures['activation_sparsity']:.4f}", "of neurons × steps"),
        *(
            (f"… {layer}", f"{share:.4f}", "")
            for layer, share in measures["activation_sparsity_by_layer"].items()
        ),
        *(
            (f"synaptic operations, {name.replace('_', ' ')}", f"{value:,.0f}", "a recording")
            for name, value in operations.items()
        ),
        ("membrane updates", f"{measures['membrane_updates']:,.0f}", "a recording"),
    ]


def neurobench_note(measures: Mapping[str, Any]) -> str:
    """Say whose definitions these are, and of what."""
    return (
        f"Definitions of NeuroBench (package {measures['version']}) on the deployed integers: "
        "weights and biases in whole bytes, membranes after their reset. A readout that never "
        "fires counts as silent neurons; the input is no activation."
    )
