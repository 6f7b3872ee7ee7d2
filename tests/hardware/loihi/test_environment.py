"""What is said when Lava's environment cannot be had. uv really runs; no network is used."""

from pathlib import Path

import pytest

from hardware import script_environment
from hardware.loihi import environment
from hardware.loihi.environment import EnvironmentUnavailableError


@pytest.fixture
def no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No interpreter on the path or in uv's folders, and no leave to fetch one."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "pythons"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")


def test_lock_names_the_versions_that_the_claim_is_about() -> None:
    assert environment.locked_versions() == "lava-nc 0.10.0, lava-dl 0.6.0, Python 3.10"


def test_lock_knows_one_registry() -> None:
    lines = environment.LOCK.read_text().splitlines()
    addresses = [line.partition("https://")[2] for line in lines if "https://" in line]
    hosts = {address.partition("/")[0] for address in addresses}
    assert hosts == {"files.pythonhosted.org", "pypi.org"}


@pytest.mark.usefixtures("no_python")
def test_no_python_is_one_line_that_says_what_to_do() -> None:
    reason = environment.availability().reason
    assert reason is not None
    assert "\n" not in reason
    assert "no Python 3.10" in reason
    assert "install Python 3.10" in reason
    with pytest.raises(EnvironmentUnavailableError, match=r"no Python 3\.10"):
        environment.prepare()


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if environment.availability().reason is not None:
        pytest.skip("no Python 3.10")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    said: list[str] = []
    with pytest.raises(EnvironmentUnavailableError) as caught:
        environment.prepare(said.append)
    assert "\n" not in str(caught.value)
    assert "network" in str(caught.value).lower()
    assert said == [f"loihi: preparing an environment with {environment.locked_versions()} (once)"]


def test_preparing_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = tmp_path / "uv"
    stuck.write_text(
        "#!/bin/sh\n[ $2 = python ] && { echo /usr/bin/python3; exit; }\nexec sleep 60\n"
    )
    stuck.chmod(0o755)
    monkeypatch.setattr(script_environment, "_uv_binary", lambda: str(stuck))
    with pytest.raises(EnvironmentUnavailableError, match=r"took longer than 0\.5 s"):
        environment.prepare(lambda line: None, limit_s=0.5)
