"""The package neurobench in a folder of its own, and a process that has it on its path.

uv puts it there on first use and it stays in hardspike's cache: 1.5 MB, for torch and NumPy are
those that run the tests. Nothing of it comes into the tests' own environment.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs
import uv

REQUIREMENTS = Path(__file__).with_name("neurobench.requirements.txt")
TWIN = Path(__file__).with_name("neurobench_twin.py")
_LIMIT_S = 240.0


class PackageUnavailableError(Exception):
    """The package cannot be had on this machine; one line that says why."""


def package_folder() -> Path:
    """Return the folder with the packages, made unless it is there.

    Raises:
        PackageUnavailableError: uv is missing or cannot fetch them.
    """
    root = os.environ.get("HARDSPIKE_CACHE") or platformdirs.user_cache_dir("hardspike")
    version = "{}.{}".format(*sys.version_info)
    pinned = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = Path(root) / "environments" / f"neurobench-{pinned}-python{version}"
    if not folder.exists():
        _make(folder)
    return folder


def _make(folder: Path) -> None:
    """Install into a temporary folder and move it into place, so that it is whole or absent."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "site"
            _install(made)
            if not folder.exists():
                made.rename(folder)
    except OSError as error:
        raise PackageUnavailableError(f"neurobench: no room for its packages ({error})") from error


def _install(folder: Path) -> None:
    arguments = ["--no-deps", "--require-hashes", "--target", str(folder)]
    arguments += ["--python", sys.executable, "-r", str(REQUIREMENTS)]
    try:
        done = subprocess.run(
            [uv.find_uv_bin(), "pip", "install", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise PackageUnavailableError(f"neurobench: uv could not be run ({error})") from error
    if done.returncode:
        cause = " ".join(done.stderr.split())[-300:]
        raise PackageUnavailableError(f"neurobench: cannot be installed ({cause})")


def run_twin(folder: Path) -> None:
    """Let the twin measure the networks in `folder` (see `neurobench_twin`)."""
    environment = os.environ | {
        "PYTHONPATH": str(package_folder()),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(TWIN), str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
