"""A run is one folder; every stage has its own below it, with a manifest that is written last.

A stage counts as done only while its manifest stands, its key (config, inputs and code) is the one
of today, and its outputs have the hashes that the manifest gives.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import read_json, sha256, write_bytes, write_json
from pipeline import __version__

SCHEMA = "hardspike.stage/1"
CONFIG_FILE = "config.json"
STATE = ".state.safetensors"
"""What a killed training goes on from; it goes when the stage is done."""
_PACKAGES = (
    "torch",
    "numpy",
    "numba",
    "tonic",
    "onnx",
    "onnxruntime",
    "nir",
    "h5py",
    "safetensors",
)
_ASIDE = ".manifest-before"
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class StageFolder:
    """One stage of a run: its folder, its files and its manifest."""

    run: Path
    stage: str

    @property
    def path(self) -> Path:
        """The stage's folder."""
        return self.run / self.stage

    @property
    def manifest_path(self) -> Path:
        """The file that makes the stage count as done."""
        return self.path / "manifest.json"

    def is_done(self, key: str) -> bool:
        """Whether the stage was finished under `key` and nothing of it was changed since.

        An evaluation in which a target failed or was not run counts as unfinished.

        Raises:
            HardspikeError: an output of the finished stage was edited or is gone.
        """
        if not self.manifest_path.exists():
            return False
        manifest = self.manifest()
        if manifest["key"] != key or manifest.get("incomplete"):
            return False
        self.verify()
        return True

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises:
            HardspikeError: the stage is not done, or the file is no manifest.
        """
        if not self.manifest_path.exists():
            raise HardspikeError(
                f"{self.path}: the stage is not finished (no manifest.json); "
                f"run `hardspike {self.stage} {self.run}` first"
            )
        manifest = read_json(self.manifest_path)
        parts = {"key": str, "config": dict, "inputs": dict, "outputs": list}
        whole = isinstance(manifest, dict) and all(
            isinstance(manifest.get(part), kind) for part, kind in parts.items()
        )
        if not whole or not all(
            isinstance(entry, dict) and {"path", "sha256"} <= set(entry)
            for entry in manifest["outputs"]
        ):
            raise HardspikeError(
                f"{self.manifest_path}: is not a stage manifest; "
                f"`hardspike {self.stage} {self.run} --force` makes it again"
            )
        return dict(manifest)

    def verify(self) -> dict[str, Any]:
        """Return the manifest after holding every output to its SHA-256.

        Raises:
            HardspikeError: the stage is not done, or a file is missing or changed.
        """
        manifest = self.manifest()
        for entry in manifest["outputs"]:
            file, expected = self.path / entry["path"], entry["sha256"]
            found = sha256(file) if file.exists() else "no file"
            if found != expected:
                raise HardspikeError(
                    f"{file}: SHA-256 is {found[:16]}, the manifest has {expected[:16]}; "
                    "the file was changed after the stage; "
                    f"`hardspike {self.stage} {self.run} --force` makes it again"
                )
        return manifest

    def recover(self) -> None:
        """Bring back the manifest of a stage whose successor ended before it wrote anything."""
        aside = self.path / _ASIDE
        if not aside.exists() or self.manifest_path.exists():
            return
        aside.replace(self.manifest_path)
        try:
            self.verify()
        except HardspikeError:
            self.manifest_path.unlink()

    @contextlib.contextmanager
    def replaced(self, keep: bool) -> Iterator[None]:
        """Take the old manifest away while the stage works, so that nothing looks finished.

        With `keep` it comes back where the work fails, or is killed, before it touched an output.

        Raises:
            HardspikeError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for leftover in self.path.glob(".*-*.*"):
                leftover.unlink(missing_ok=True)
            if self.manifest_path.exists():
                self.manifest_path.replace(self.path / _ASIDE)
            if not keep:
                (self.path / _ASIDE).unlink(missing_ok=True)
        except OSError as error:
            raise HardspikeError(
                f"{self.path}: cannot be written ({error.strerror}); a writable folder is needed"
            ) from error
        try:
            yield
        except BaseException:
            self.recover()
            raise
        (self.path / _ASIDE).unlink(missing_ok=True)

    def copied(self, key: str, runs: Iterable[Path]) -> Path | None:
        """Copy the stage from the first of other `runs` that finished it under `key`.

        Returns that run, or None where there is none. The manifest is copied to the byte, last.

        Raises:
            HardspikeError: a copy cannot be written.
        """
        for run in runs:
            source = StageFolder(run, self.stage)
            try:
                files = source._finished_files(key) if run != self.run else None
            except (HardspikeError, OSError):
                files = None  # damaged, or made again just now: then the work is done here
            if files is not None:
                for name, data in files.items():
                    write_bytes(self.path / name, data)
                return run
        return None

    def _finished_files(self, key: str) -> dict[str, bytes] | None:
        """Return name → bytes of a stage finished under `key`, the manifest last; None if not.

        What is returned fits together even where another process is at work on the stage.
        """
        if not self.is_done(key):
            return None
        written = self.manifest_path.read_bytes()
        manifest = json.loads(written)
        files = {
            entry["path"]: (self.path / entry["path"]).read_bytes() for entry in manifest["outputs"]
        }
        if manifest["key"] != key or any(
            hashlib.sha256(files[entry["path"]]).hexdigest() != entry["sha256"]
            for entry in manifest["outputs"]
        ):
            return None
        return {**files, self.manifest_path.name: written}

    def finish(
        self,
        key: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        started: float,
        facts: Mapping[str, Any],
    ) -> None:
        """Write the manifest: from now on the stage counts as done."""
        finished = time.time()
        write_json(
            self.manifest_path,
            {
                "schema": SCHEMA,
                "stage": self.stage,
                "key": key,
                "config": config,
                "config_sha256": digest(config),
                "inputs": inputs,
                "outputs": [describe(self.path, name) for name in outputs],
                "versions": versions(),
                "git_commit": git_commit(),
                "started": _utc(started),
                "finished": _utc(finished),
                "seconds": round(finished - started, 3),
                **facts,
            },
        )

    def outputs(self) -> dict[str, str]:
        """Return name → SHA-256 of the finished stage's files, for the next stage's key."""
        return {entry["path"]: entry["sha256"] for entry in self.verify()["outputs"]}


def describe(folder: Path, name: str) -> dict[str, Any]:
    """Return path, SHA-256 and size of one file."""
    file = folder / name
    return {"path": name, "sha256": sha256(file), "bytes": file.stat().st_size}


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in a canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def source_digest(modules: Sequence[str]) -> str:
    """Return one SHA-256 over the source files below `modules` (files, packages or patterns)."""
    files: list[Path] = []
    for module in modules:
        path = _ROOT / module
        if "*" in module:
            files += sorted(_ROOT.glob(module))
        else:
            files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return digest([[file.relative_to(_ROOT).as_posix(), sha256(file)] for file in files])


def versions() -> dict[str, str]:
    """Return the versions of hardspike, Python, the system and the packages that matter."""
    return package_versions() | {"platform": platform.platform()}


def package_versions(names: Sequence[str] = _PACKAGES) -> dict[str, str]:
    """Return the versions of hardspike, Python and the named packages."""
    packages = {name: importlib.metadata.version(name) for name in names}
    return {"hardspike": __version__, "python": platform.python_version(), **packages}


def git_commit() -> str | None:
    """Return the commit of the checkout that this code lies in, with `+dirty` where it differs."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--abbrev=40", "--dirty=+dirty"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        if done.returncode == 0 and (_ROOT / ".git").exists():
            return done.stdout.strip()
    return None


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


@contextlib.contextmanager
def locked(run: Path, kind: str = "run", marker: str = CONFIG_FILE) -> Iterator[None]:
    """Hold the run folder for one process; the lock goes with the process, however it ends.

    A folder of another `kind` than a run is known by another `marker`, a file in it.

    Raises:
        HardspikeError: the folder cannot be written, is something else than a run, or another
            process is at work on it.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        foreign = [path.name for path in run.iterdir() if path.name != ".lock"]
        if foreign and not (run / marker).exists():
            raise HardspikeError(
                f"{run}: is no {kind} folder (it holds {sorted(foreign)[0]}, but no {marker}); "
                f"allowed is a {kind}, or a new or empty folder"
            )
        handle = os.open(run / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise HardspikeError(
            f"{run}: cannot be written ({error.strerror}); a writable folder is needed"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise HardspikeError(f"{run}: another hardspike process is at work here") from None
    try:
        yield
    finally:
        os.close(handle)
