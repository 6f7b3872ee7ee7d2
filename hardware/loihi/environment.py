"""The environment that Lava runs in: Python 3.10 with the packages of `worker.py.lock`, by uv.

lava-nc 0.10.0 does not import on Python 3.11 or later, and its integers are only worth a claim on
the NumPy it was written for.
"""

from pathlib import Path

from hardware.script_environment import (
    PREPARE_LIMIT_S,
    Announce,
    EnvironmentUnavailableError,
    ScriptEnvironment,
    announce_on_stderr,
)
from hardware.target import Availability

__all__ = ["Announce", "EnvironmentUnavailableError", "announce_on_stderr"]

WORKER = Path(__file__).with_name("worker.py")
LAVA = ScriptEnvironment("loihi", WORKER, "3.10", ("lava-nc", "lava-dl"))
LOCK = LAVA.lock
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Variables for Lava's processes: there are more of them than processors, so none needs threads."""


def locked_versions() -> str:
    """Return what the lock pins, as `lava-nc 0.10.0, lava-dl 0.6.0, Python 3.10`."""
    return LAVA.locked_versions()


def availability() -> Availability:
    """Say whether the environment is there or can be made; see `ScriptEnvironment`."""
    return LAVA.availability()


def prepare(
    announce: Announce = announce_on_stderr, *, limit_s: float = PREPARE_LIMIT_S
) -> tuple[Path, str]:
    """Make the environment unless it is there; see `ScriptEnvironment`."""
    return LAVA.prepare(announce, limit_s=limit_s)
