"""Files that mean harm, or are broken: one line, exit 2, nothing written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.end_to_end.conftest import in_process
from tests.export.imported.nir_files import small_cnn, write

SAID = ("--dt", "0.01", "--reset", "zero")
Edit = Callable[[Any], None]


def refused(path: Path, run: Path) -> str:
    """Import and check a file; both must say one line and write nothing."""
    lines = set()
    for command in (
        ("import", path, *SAID, "--steps", "4", "-o", run),
        ("check", path, *SAID),
    ):
        done = in_process(*command)
        assert done.returncode == 2, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        found = done.stderr.splitlines()
        assert len(found) == 1, done.stderr
        assert found[0].startswith("hardspike: ")
        lines.add(found[0])
    assert not (run / "train" / "manifest.json").exists()
    return "\n".join(sorted(lines))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "cnn.nir", small_cnn())


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.99])
def test_cut_short(share: float, file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    assert str(file) in refused(file, tmp_path / "run")


def test_flipped_bits_end_in_a_line_or_a_network(file: Path, tmp_path: Path) -> None:
    """A bit of a weight is a weight still; any other end is one line."""
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    refusals = 0
    for index in range(40):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 1 + index % 8):
            data[place] ^= 1 << int(rng.integers(8))
        path = tmp_path / f"flipped-{index}.nir"
        path.write_bytes(bytes(data))
        done = in_process("check", path, *SAID)
        assert done.returncode in (0, 2)
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == (done.returncode == 2)
        refusals += done.returncode == 2
    assert refusals > 0


def _put(key: str, value: Any) -> Edit:
    def edit(file: Any) -> None:
        del file[key]
        file[key] = value

    return edit


def _nested(file: Any) -> None:
    group = file["node"]
    for _ in range(60):
        group = (
            group.create_group("nodes/inner")
            if "nodes/inner" not in group
            else group["nodes/inner"]
        )
        group["type"] = "NIRGraph"


def _bomb(file: Any) -> None:
    del file["node/nodes/fc/weight"]
    file.create_dataset(
        "node/nodes/fc/weight", (40_000, 40_000), "f4", chunks=(4_000, 4_000), compression=9
    )


EDITS: dict[str, tuple[Edit, str]] = {
    "no graph": (lambda file: file.__delitem__("node"), "found HDF5 with neither 'node' (NIR)"),
    "no nodes": (lambda file: file.__delitem__("node/nodes"), "node: found no nodes"),
    "no edges": (lambda file: file.__delitem__("node/edges"), "edges: found no pairs of names"),
    "edges of numbers": (_put("node/edges", np.zeros((3, 2))), "edges: found no pairs of names"),
    "edge to nothing": (_put("node/edges", [[b"input", b"no"]]), "edges: found 'no', allowed"),
    "no type": (lambda file: file.__delitem__("node/nodes/fc/type"), "node fc: type: found 'none'"),
    "unknown type": (_put("node/nodes/fc/type", "Softmax"), "node fc: type: found 'Softmax'"),
    "no weight": (lambda file: file.__delitem__("node/nodes/fc/weight"), "weight: the field is"),
    "text weight": (_put("node/nodes/fc/weight", "heavy"), "node fc: weight: found object"),
    "weight of 3 axes": (_put("node/nodes/fc/weight", np.zeros((2, 2, 2))), "allowed 2 axes"),
    "stride 0": (_put("node/nodes/conv/stride", [0, 1]), "node conv: stride: found [0.0, 1.0]"),
    "stride of text": (_put("node/nodes/conv/stride", "one"), "node conv: stride: found object"),
    "huge stride": (_put("node/nodes/conv/padding", [2**40, 0]), "node conv: padding: found"),
    "padding": (_put("node/nodes/conv/padding", "reflect"), "padding: found 'reflect'"),
    "groups": (_put("node/nodes/conv/groups", 2), "groups: found 2, allowed a divisor of 3"),
    "huge input": (_put("node/nodes/input/shape", [2, 2**30, 8]), "node input: shape: found"),
    "no input": (lambda file: file.__delitem__("node/nodes/input"), "edges: found 'input'"),
    "parameters": (_put("node/nodes/lif1/tau", np.ones(7)), "node lif1 (LIF): tau: found shape"),
    "link": (
        lambda file: file.__setitem__("node/nodes/x", h5py.ExternalLink("/etc/passwd", "/")),
        "found a link elsewhere",
    ),
    "soft link": (
        lambda file: file.__setitem__("node/nodes/x", h5py.SoftLink("/node")),
        "found a link elsewhere",
    ),
    "loop": (lambda file: file["node/nodes"].__setitem__("x", file["node"]), "second link"),
    "nested": (_nested, "found"),
    "bomb": (_bomb, "found data of 6400000000 bytes, "),
}


@pytest.mark.parametrize("case", EDITS)
def test_what_is_wrong_is_named(case: str, file: Path, tmp_path: Path) -> None:
    edit, line = EDITS[case]
    with h5py.File(file, "r+") as opened:
        edit(opened)
    found = refused(file, tmp_path / "run")
    assert line in found
    assert str(file) in found


@pytest.mark.parametrize("content", [b"", b"\x08", b"\x08\x07onnx", b"PK\x03\x04", b"\x00" * 5000])
def test_something_else(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.nir"
    path.write_bytes(content)
    assert str(path) in refused(path, tmp_path / "run")


def test_no_file_at_all(tmp_path: Path) -> None:
    assert "none.nir" in refused(tmp_path / "none.nir", tmp_path / "run")
    assert str(tmp_path) in refused(tmp_path, tmp_path / "run")
