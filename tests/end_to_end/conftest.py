"""One smoke run for all end-to-end tests, made by the real command line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]


def hardspike(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="session")
def command() -> Command:
    """The command line as a function."""
    return hardspike


@pytest.fixture(scope="session")
def smoke_config() -> Path:
    """The smoke experiment."""
    return ROOT / "configs" / "smoke.yaml"


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory, smoke_config: Path) -> Path:
    """A finished run of the smoke experiment. Tests that change it work on a copy."""
    run = tmp_path_factory.mktemp("runs") / "smoke"
    done = hardspike("run", smoke_config, "--out", run)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return run
