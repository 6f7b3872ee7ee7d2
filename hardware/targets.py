"""The table of targets. A new target is one module and one line here."""

from collections.abc import Callable
from dataclasses import dataclass

from hardware.loihi.environment import Announce, announce_on_stderr
from hardware.loihi.target import LoihiTarget
from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.reference_target import ReferenceTarget
from hardware.target import Target


@dataclass(frozen=True)
class TargetOptions:
    """What targets may be told: processor threads (None: all cores), Lava's time limit, and where
    to say that something slow begins.
    """

    threads: int | None = None
    loihi_timeout_seconds: float = 900.0
    announce: Announce = announce_on_stderr


TARGETS: dict[str, Callable[[TargetOptions], Target]] = {
    "reference": lambda options: ReferenceTarget(),
    "onnxruntime": lambda options: OnnxRuntimeSequence(options.threads),
    "onnxruntime-step": lambda options: OnnxRuntimeStep(options.threads),
    "loihi": lambda options: LoihiTarget(options.loihi_timeout_seconds, options.announce),
}
"""Every target by name; the first is the oracle that the others are held to."""
