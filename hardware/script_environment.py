"""Environments of their own for worker scripts: a Python and the packages of a lock, made by uv.

A worker states what it needs inline (PEP 723) with a committed lock beside it. uv makes the
environment from the lock on first use and keeps it in its cache. It finds the Python on the search
path, through a version manager that reads `.python-version` (so commands run in the script's
folder), or fetches it. Nothing that a worker imports is ever imported here.
"""

import functools
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uv

from hardware.target import Availability, TargetUnavailableError

FIND_LIMIT_S = 60.0
PREPARE_LIMIT_S = 600.0
_LONGEST_CAUSE = 300
_OF_OURS = {"VIRTUAL_ENV", "PYENV_VERSION", "PYENV_DIR"}
"""Variables that say which Python runs hardspike, and would hide the worker's."""

Announce = Callable[[str], None]
"""Called with one line when something slow begins."""


class EnvironmentUnavailableError(TargetUnavailableError):
    """A worker's environment cannot be had on this machine; what needs it is then not run."""


def announce_on_stderr(line: str) -> None:
    """Print `line` to standard error."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class ScriptEnvironment:
    """The environment of one worker script.

    `name` begins every message, `python` is the version asked for where none is found, `packages`
    are those of the lock that a reader should know, and `exact` says that no other Python will do.
    """

    name: str
    script: Path
    python: str
    packages: tuple[str, ...]
    exact: bool = True

    @property
    def lock(self) -> Path:
        """The lock beside the script."""
        return self.script.with_name(f"{self.script.name}.lock")

    def locked_versions(self) -> str:
        """Return what the lock pins, as `lava-nc 0.10.0, lava-dl 0.6.0, Python 3.10`."""
        packages = tomllib.loads(self.lock.read_text())["package"]
        versions = {package["name"]: package["version"] for package in packages}
        pinned = [f"{name} {versions[name]}" for name in self.packages]
        return ", ".join(pinned + [f"Python {self.python}"] * self.exact)

    def availability(self) -> Availability:
        """Say whether it is there or can be made, in about 0.1 s and without a network."""
        version = self.locked_versions()
        try:
            found = self._interpreter()
        except EnvironmentUnavailableError as error:
            return Availability(version, str(error))
        if found is None:
            return Availability(f"{version} (to be fetched on first use)")
        made = (found.parent.parent / "pyvenv.cfg").exists()
        return Availability(version if made else f"{version} (environment made on first use)")

    def prepare(
        self, announce: Announce = announce_on_stderr, *, limit_s: float = PREPARE_LIMIT_S
    ) -> tuple[Path, str]:
        """Make the environment unless it is there; return its interpreter and the locked versions.

        Raises:
            EnvironmentUnavailableError: uv or the Python is missing, a package cannot be fetched,
                or this takes longer than `limit_s`. One line, with what to do.
        """
        found = self._interpreter()
        if found is None or not (found.parent.parent / "pyvenv.cfg").exists():
            announce(f"{self.name}: preparing an environment with {self.locked_versions()} (once)")
        status, _, cause = self._uv(
            "sync", "--frozen", "--script", self.script.name, limit_s=limit_s
        )
        if status != 0:
            raise EnvironmentUnavailableError(
                f"{self.name}: the environment of {self.script.name} cannot be made ({cause}); "
                "run once with a network, or fill uv's cache"
            )
        interpreter = self._interpreter()
        if interpreter is None:
            raise EnvironmentUnavailableError(
                f"{self.name}: uv made no environment for {self.script.name}"
            )
        return interpreter, self.locked_versions()

    def _interpreter(self) -> Path | None:
        """Return the environment's interpreter, the Python it can be made from, or None to fetch.

        Raises:
            EnvironmentUnavailableError: there is none and uv may not fetch one, or no uv.
        """
        if sys.platform == "win32":
            raise EnvironmentUnavailableError(f"{self.name}: needs Linux or macOS, found Windows")
        status, found, cause = self._uv(
            "python", "find", "--script", self.script.name, limit_s=FIND_LIMIT_S
        )
        if status == 0 and found:
            return Path(found)
        if _may_download():
            return None
        raise EnvironmentUnavailableError(
            f"{self.name}: no Python {self.python} found ({cause}); install Python {self.python}, "
            f"or run `uv python install {self.python}` with a network"
        )

    def _uv(self, *arguments: str, limit_s: float) -> tuple[int, str, str]:
        """Run uv beside the script; return its status, its output and its error as one line."""
        try:
            binary = _uv_binary()
        except FileNotFoundError as error:
            raise EnvironmentUnavailableError(
                f"{self.name}: uv is missing ({error}); run `pip install uv`"
            ) from error
        environment = {key: value for key, value in os.environ.items() if key not in _OF_OURS}
        try:
            done = subprocess.run(
                [binary, "--no-progress", *arguments],
                cwd=self.script.parent,
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


def _may_download() -> bool:
    """Whether uv's settings let it fetch an interpreter."""
    offline = os.environ.get("UV_OFFLINE", "").lower() in {"1", "true", "yes", "on"}
    allowed = os.environ.get("UV_PYTHON_DOWNLOADS", "automatic").lower()
    return not offline and allowed not in {"never", "manual", "false", "0"}


@functools.cache
def _uv_binary() -> str:
    return os.fsdecode(uv.find_uv_bin())


def _cause(stderr: str) -> str:
    """Return what follows uv's first `error:`, on one line and without its hints."""
    text = " ".join(stderr.partition("hint:")[0].split())
    return text.rpartition("error: ")[2][:_LONGEST_CAUSE] or "uv gave no reason"
