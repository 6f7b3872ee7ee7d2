"""What the times were taken on."""

import os
import platform
from pathlib import Path
from typing import Any

import onnxruntime

from hardware.target import available_cores

_CPUINFO = Path("/proc/cpuinfo")


def processor() -> str:
    """Return the processor's name as the system gives it."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def load_average() -> list[float] | None:
    """Return the mean number of runnable tasks over 1, 5 and 15 minutes, where the system says."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return None


def machine() -> dict[str, Any]:
    """Return processor, the number of them this process may use, system, and ONNX Runtime."""
    return {
        "processor": processor(),
        "processors_allowed": available_cores(),
        "system": platform.platform(),
        "onnxruntime": onnxruntime.__version__,
        "niceness": os.nice(0) if hasattr(os, "nice") else None,
    }
