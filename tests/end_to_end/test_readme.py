"""The README's Python example, run as it stands but for where its run and recordings lie."""

import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest

from tests.end_to_end.conftest import ROOT

_CHANGES = {
    "configs/quickstart.yaml": str(ROOT / "configs" / "smoke.yaml"),
    "(8, 4, 3)": "(8, 4)",
}


def test_the_example_runs_and_every_target_gives_the_reference(
    smoke_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for written, here in {**_CHANGES, "runs/quickstart": str(smoke_run)}.items():
        assert written in example
        example = example.replace(written, here)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "example.py").write_text(example)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        runpy.run_path(str(tmp_path / "example.py"))
    lines = [line.split() for line in said.getvalue().splitlines()]
    targets = ("reference", "onnxruntime", "onnxruntime-step")
    assert [tuple(line[:2]) for line in lines] == [(b, name) for b in "84" for name in targets]
    assert {tuple(line[2:4]) for line in lines} == {("ok", "1.0")}
    assert all(0 < float(line[4]) <= 1 for line in lines)
