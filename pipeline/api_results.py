"""What a target gave over recordings, for `pipeline.api`.

Axes: `B` recording, `T` time step, `N` output neuron.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Readout, decide
from export.netx_file import APPROXIMATED_FILE
from hardware.loihi.approximate import Disagreement
from hardware.target import TargetRun, TargetUnavailableError
from hardware.targets import TARGETS, TargetOptions
from pipeline.metrics import agreement

Spikes = NDArray[np.uint8]
Status = Literal["ok", "approximated", "differs", "failed", "not run"]


@dataclass(frozen=True, eq=False)
class TargetResult:
    """What a target gave: outputs `(B, T, N)`, the class of each recording, `(B,)`.

    `equal` is the share of outputs that are the reference's, `accuracy` that of recordings given
    their label, None without labels. A target that did not run or broke has its `reason` alone.
    One that is "approximated" ran what stands in for the network, as `deploy` was asked to;
    `differing` is then the share of each layer's spikes that are not the network's.
    """

    status: Status
    reason: str | None = None
    outputs_BTN: NDArray[np.int32] | None = None
    classes_B: NDArray[np.int64] | None = None
    equal: float | None = None
    accuracy: float | None = None
    differing: Mapping[str, float] | None = None


def run_target(
    name: str, options: TargetOptions, artefacts: Path, spikes_BTCHW: Spikes
) -> TargetRun | TargetResult:
    """Return a target's run, or the result of one that could not be."""
    target = TARGETS[name](options)
    reason = target.availability().reason
    if reason is not None:
        return TargetResult("not run", reason)
    try:
        return target.run(artefacts, spikes_BTCHW)
    except TargetUnavailableError as error:
        return TargetResult("not run", str(error))
    except HardspikeError as error:
        return TargetResult("failed", str(error))


def measured(
    run: TargetRun, oracle: TargetRun, readout: Readout, labels_B: NDArray[Any] | None
) -> TargetResult:
    """Return the result of a run, held to the reference's."""
    classes_B, equal = (
        decide(run.outputs_BTN, readout),
        agreement(run.outputs_BTN, oracle.outputs_BTN),
    )
    return TargetResult(
        "ok" if equal == 1 else "differs",
        None if equal == 1 else "outputs are not the reference's",
        run.outputs_BTN,
        classes_B,
        equal,
        None if labels_B is None else float((classes_B == labels_B).mean()),
    )


def approximated(found: TargetResult, run: TargetRun, apart: Disagreement) -> TargetResult:
    """Return the result of a target that ran what stands in for the network, and ran it right."""
    if not np.array_equal(run.outputs_BTN, apart.outputs_BTN):
        reason = f"outputs are not those of {APPROXIMATED_FILE} on the reference"
        return replace(found, status="differs", reason=reason)
    what = ", ".join(run.approximates)
    return replace(
        found,
        status="approximated",
        reason=f"ran {APPROXIMATED_FILE}, not the network ({what} approximated on request)",
        differing={layer.layer: layer.differing for layer in apart.layers},
    )
