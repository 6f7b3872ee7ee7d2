"""Packages in a folder of their own, and a process of this Python that has them on its path.

uv puts them there from a file of requirements with hashes on first use, and they stay in
hardspike's cache. They are packages over torch, and torch and NumPy are those that run this: a lock
would fix torch's wheel too, of which a machine has one of many. Nothing of them comes into this
process.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import uv

from export.errors import HardspikeError

INSTALL_LIMIT_S = 240.0


class PackagesUnavailableError(HardspikeError):
    """The packages cannot be had on this machine; one line that says why."""


@dataclass(frozen=True)
class Packages:
    """The packages of one file of requirements, under a name that begins every message."""

    name: str
    requirements: Path

    def folder(self) -> Path:
        """Return the folder with the packages, made unless it is there.

        Raises:
            PackagesUnavailableError: uv is missing or cannot fetch them, or there is no room.
        """
        root = os.environ.get("HARDSPIKE_CACHE") or platformdirs.user_cache_dir("hardspike")
        version = "{}.{}".format(*sys.version_info)
        pinned = hashlib.sha256(self.requirements.read_bytes()).hexdigest()[:12]
        folder = Path(root) / "environments" / f"{self.name}-{pinned}-python{version}"
        if not folder.exists():
            self._make(folder)
        return folder

    def environment(self) -> Mapping[str, str]:
        """Return the variables of a process that has them on its path, with one thread.

        Raises:
            PackagesUnavailableError: as `folder`.
        """
        return os.environ | {
            "PYTHONPATH": str(self.folder()),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _make(self, folder: Path) -> None:
        """Install into a temporary folder and move it in place, so that it is whole or absent."""
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                made = Path(temporary) / "site"
                self._install(made)
                if not folder.exists():
                    made.rename(folder)
        except OSError as error:
            raise PackagesUnavailableError(
                f"{self.name}: no room for its packages ({error})"
            ) from error

    def _install(self, folder: Path) -> None:
        arguments = ["--no-deps", "--require-hashes", "--target", str(folder)]
        arguments += ["--python", sys.executable, "-r", str(self.requirements)]
        try:
            done = subprocess.run(
                [uv.find_uv_bin(), "pip", "install", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INSTALL_LIMIT_S,
                check=False,
            )
        except (FileNotFoundError, subprocess.TimeoutExpired) as error:
            raise PackagesUnavailableError(f"{self.name}: uv could not be run ({error})") from error
        if done.returncode:
            cause = " ".join(done.stderr.split())[-300:]
            raise PackagesUnavailableError(f"{self.name}: cannot be installed ({cause})")
