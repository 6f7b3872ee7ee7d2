"""The environment that Lava runs in: Python 3.10 with the packages of `worker.py.lock`, by uv.

lava-nc 0.10.0 does not import on Python 3.11 or later, and its integers are only worth a claim on
the NumPy it was written for. uv makes the environment from the lock on first use and keeps it in
its cache. uv finds Python 3.10 on the search path, through a version manager that reads
`.python-version` (so commands run in the checkout), or fetches it.
"""

import functools
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import uv

from hardware.target import Availability, TargetUnavailableError

WORKER = Path(__file__).with_name("worker.py")
LOCK = WORKER.with_name("worker.py.lock")
PYTHON = "3.10"
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Variables for Lava's processes: there are more of them than processors, so none needs threads."""
FIND_LIMIT_S = 20.0
PREPARE_LIMIT_S = 600.0
_LONGEST_CAUSE = 300

Announce = Callable[[str], None]
"""Called with one line when something slow begins."""


class EnvironmentUnavailableError(TargetUnavailableError):
    """Lava's environment cannot be had on this machine; the target is then not run."""


def announce_on_stderr(line: str) -> None:
    """Print `line` to standard error."""
    print(line, file=sys.stderr, flush=True)


def locked_versions() -> str:
    """Return what the lock pins, as `lava-nc 0.10.0, lava-dl 0.6.0, Python 3.10`."""
    packages = tomllib.loads(LOCK.read_text())["package"]
    versions = {package["name"]: package["version"] for package in packages}
    pinned = [f"{name} {versions[name]}" for name in ("lava-nc", "lava-dl")]
    return ", ".join([*pinned, f"Python {PYTHON}"])


def availability() -> Availability:
    """Say whether the environment is there or can be made, in about 0.1 s and without a network."""
    version = locked_versions()
    try:
        found = _interpreter()
    except EnvironmentUnavailableError as error:
        return Availability(version, str(error))
    if found is None:
        return Availability(f"{version} (to be fetched on first use)")
    made = (found.parent.parent / "pyvenv.cfg").exists()
    return Availability(version if made else f"{version} (environment made on first use)")


def prepare(
    announce: Announce = announce_on_stderr, *, limit_s: float = PREPARE_LIMIT_S
) -> tuple[Path, str]:
    """Make the environment unless it is there; return its interpreter and the locked versions.

    Raises:
        EnvironmentUnavailableError: uv or Python 3.10 is missing, a package cannot be fetched, or
            this takes longer than `limit_s`. One line, with what to do.
    """
    found = _interpreter()
    if found is None or not (found.parent.parent / "pyvenv.cfg").exists():
        announce(f"loihi: preparing an environment with {locked_versions()} (once)")
    status, _, cause = _uv("sync", "--frozen", "--script", WORKER.name, limit_s=limit_s)
    if status != 0:
        raise EnvironmentUnavailableError(
            f"loihi: the environment of {WORKER.name} cannot be made ({cause}); "
            "run once with a network, or fill uv's cache"
        )
    interpreter = _interpreter()
    if interpreter is None:
        raise EnvironmentUnavailableError(f"loihi: uv made no environment for {WORKER.name}")
    return interpreter, locked_versions()


def _interpreter() -> Path | None:
    """Return the environment's interpreter, the Python it can be made from, or None to fetch one.

    Raises:
        EnvironmentUnavailableError: there is none and uv may not fetch one, or no uv.
    """
    if sys.platform == "win32":
        raise EnvironmentUnavailableError("loihi: needs Linux or macOS, found Windows")
    status, found, cause = _uv("python", "find", "--script", WORKER.name, limit_s=FIND_LIMIT_S)
    if status == 0 and found:
        return Path(found)
    if _may_download():
        return None
    raise EnvironmentUnavailableError(
        f"loihi: no Python {PYTHON} found ({cause}); install Python {PYTHON}, "
        f"or run `uv python install {PYTHON}` with a network"
    )


def _may_download() -> bool:
    """Whether uv's settings let it fetch an interpreter."""
    offline = os.environ.get("UV_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
    allowed = os.environ.get("UV_PYTHON_DOWNLOADS", "automatic").lower()
    return not offline and allowed not in {"never", "manual", "false", "0"}


@functools.cache
def _uv_binary() -> str:
    try:
        return os.fsdecode(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise EnvironmentUnavailableError(
            f"loihi: uv is missing ({error}); run `pip install uv`"
        ) from error


def _uv(*arguments: str, limit_s: float) -> tuple[int, str, str]:
    """Run uv beside the worker; return its status, its output and its error as one line."""
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(
            [_uv_binary(), "--no-progress", *arguments],
            cwd=WORKER.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"uv {arguments[0]} took longer than {limit_s:g} s"
    except OSError as error:
        return 1, "", f"uv cannot be run: {error.strerror}"
    return done.returncode, done.stdout.strip(), _cause(done.stderr)


def _cause(stderr: str) -> str:
    """Return what follows uv's first `error:`, on one line and without its hints."""
    text = " ".join(stderr.partition("hint:")[0].split())
    return text.rpartition("error: ")[2][:_LONGEST_CAUSE] or "uv gave no reason"
