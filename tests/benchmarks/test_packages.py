"""Packages that cannot be had are one line, and nothing half-made is left behind."""

from pathlib import Path

import pytest

from benchmarks.interop_study.settings import TOOLKITS
from benchmarks.study.packages import PackagesUnavailableError


def test_without_a_network_and_a_cache_the_toolkit_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("HARDSPIKE_CACHE", str(tmp_path / "ours"))
    with pytest.raises(PackagesUnavailableError) as caught:
        TOOLKITS[0].packages.folder()
    text = str(caught.value)
    assert text.startswith("snntorch: cannot be installed (")
    assert "\n" not in text
    assert list((tmp_path / "ours" / "environments").iterdir()) == []
