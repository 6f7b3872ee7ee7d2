"""One smoke run for all end-to-end tests, made by the real command line."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import main

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


def in_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line here, for speed; an exception that gets out fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


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
