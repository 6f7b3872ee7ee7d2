"""Names for the ways in which toolkits depart from NIR's plain reading, and what each one is.

`hardspike check` and the study of interoperability use the same ones.
"""

REASONS = {
    "at-threshold": "fires at the threshold, not above it alone",
    "endless": "writes a decay of 1 as τ = R = ∞, which has no step",
    "exponential": "keeps exp(−dt/τ) of the membrane, not 1 − dt/τ",
    "floor": "keeps the membrane above a lower bound",
    "hidden-current": "has a synaptic current that the file says nothing of",
    "late-reset": "subtracts at the next step, after its leak",
    "left-over": (
        "takes what a subtraction leaves above the threshold down by one more before it decides"
    ),
    "lost-input": "resets at the next step, whose input is lost with it",
    "lost-input-in-cycles": "resets recurrent layers at the next step, whose input is lost with it",
    "lost-padding": "writes average pooling without its padding",
    "many-spikes": "fires several spikes in one step",
    "no-reset": "does not reset at all",
    "start-at-leak": "starts at v_leak, not at v_reset",
    "step-squared": "writes dt·τ for τ",
    "unit-step": "adds an IF node's input whole",
    "unwritten-reset": "does not write v_reset",
    "whole-current": "adds the spikes themselves to the current",
    "whole-input": "adds the input itself, not its share",
    "whole-readout": "adds a readout's input itself, not its share",
}


def because(reason: str, detail: str) -> str:
    """Return a reason's name with what it means at a node."""
    assert reason in REASONS, reason
    return f"{reason} ({detail})"
