"""What stands on record of the toolkits: complete, named, and the page made from it to the byte."""

import json
from pathlib import Path

import pytest

from benchmarks.interop_study import imported_files
from benchmarks.interop_study.hostile.run import Tally
from benchmarks.interop_study.imported_files import (
    FILES,
    THROUGH_LAVA,
    check,
    deploy,
    run_random,
)
from benchmarks.interop_study.ours import NETWORKS, PREPARATIONS
from benchmarks.interop_study.page import page, verdict
from benchmarks.interop_study.part_records import (
    Ended,
    Held,
    HostilePart,
    ImportedFile,
    NetxPart,
    OnTarget,
    SinabsPart,
    hostile_faults,
    hostile_headline,
    netx_faults,
    sinabs_faults,
)
from benchmarks.interop_study.parts import PARTS, hostile_part
from benchmarks.interop_study.record import (
    SCHEMA,
    Cell,
    Study,
    counts,
    headline,
    read_study,
    write_study,
)
from benchmarks.interop_study.settings import FIGURES, PAGE, ROOT, TOOLKITS, WORKERS
from benchmarks.interop_study.study import their_networks, unnamed_reasons
from export.errors import HardspikeError
from tests.end_to_end.conftest import in_process
from tests.export.imported.nir_files import lif, small_cnn, write


@pytest.fixture(scope="module")
def study() -> Study:
    found = read_study(FIGURES)
    assert found is not None
    return found


def test_page_is_made_from_the_record_and_the_counts_are_those_of_its_cells(study: Study) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(study)
    written = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert written["counts"] == counts(study)
    assert written["headline"] == json.loads(json.dumps(headline(study)))


def test_the_readme_says_what_is_on_record(study: Study) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    matrix, cnn = headline(study)["matrix"], headline(study)["cnn_sinabs"]
    statuses = [str(matrix[key]) for key in ("equal", "explained", "refused", "unexplained")]
    assert f"| {' / '.join(statuses)} of {matrix['cells']} |" in readme
    told = headline(study)["told_from"]
    assert f"| {told['equal']} of {told['files']} |" in readme
    netx = headline(study)["netx_files"]
    lava = netx["through_lava"]
    found = f"{netx['equal']} of {netx['tried']} / {lava['equal']} of {lava['tried']}"
    assert f"| {found} | `make study-interop`" in readme
    ended = headline(study)["hostile_files"]
    found = " / ".join(str(ended[name]) for name in ("refused", "legal", "failed"))
    assert f"| {ended['files']}; {found} |" in readme
    low, high = (100 * end for end in cnn["bits8_ci95"])
    shares = f"{100 * cnn['float']:.1f}% / {100 * cnn['bits8']:.1f}%"
    assert f"| {shares} ({low:.1f}–{high:.1f}%) |" in readme


def test_every_file_of_lava_dl_is_equal(study: Study) -> None:
    assert study.netx is not None
    found = headline(study)["netx_files"]
    assert found["tried"] == found["equal"] >= 100
    assert found["through_lava"]["tried"] == found["through_lava"]["equal"] >= 20
    assert not netx_faults(study.netx)


def test_every_hostile_file_ends_as_it_should(study: Study) -> None:
    assert study.hostile is not None
    assert study.hostile.files >= 300
    assert not hostile_faults(study.hostile)
    assert study.hostile.commands().failed == 0
    assert study.hostile.seconds <= 10
    assert study.hostile.peak_bytes <= 1 << 30


def test_files_of_other_toolkits_are_equal_on_all_targets(study: Study) -> None:
    assert study.sinabs is not None
    assert not sinabs_faults(study.sinabs)
    assert [file.file for file in study.sinabs.files] == [file.name for file in FILES]
    for file in study.sinabs.files:
        assert file.all_equal
        assert file.measured or file.random
        for one in file.measured:
            own = [run for run in one.targets if run.status != "approximated"]
            assert {run.agreement for run in own} == {1.0}
            assert all(run.score for run in one.targets)
            stand_in = [(run.target, one.reset) for run in one.targets if run not in own]
            assert stand_in == [("loihi", "subtract")] * (one.reset == "subtract")
    (cnn,) = [file for file in study.sinabs.files if file.measured]
    assert "sum pooling folded into 5" in cnn.rewrites.values()
    zero = cnn.measured[0]
    assert zero.reset == "zero"
    assert {run.target: run.recordings for run in zero.targets} == {
        "reference": 200,
        "onnxruntime": 200,
        "onnxruntime-step": 200,
        "loihi": THROUGH_LAVA,
    }


def test_a_file_is_checked_deployed_and_run_by_the_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All of the part `sinabs` but Lava and the recordings, on a network of the tests.

    The command line runs in this process, for speed.
    """
    monkeypatch.setattr(imported_files, "hardspike", in_process)
    path = write(tmp_path / "cnn.nir", small_cnn())
    checked = check(path, 0.01)
    assert checked.all_equal
    assert checked.nodes == len(small_cnn())
    assert checked.rewrites["pool"] == "sum pooling written out in fc"
    deploy(path, 0.01, tmp_path / "run")
    runs = list(run_random(tmp_path / "run" / "deploy", ("reference", "onnxruntime")))
    assert [(run.target, run.status, run.agreement) for run in runs] == [
        ("reference", "ok", 1.0),
        ("onnxruntime", "ok", 1.0),
    ]
    nodes = small_cnn()
    nodes["lif1"] = lif((3, 8, 8), tau=-1.0)
    broken = check(write(tmp_path / "broken.nir", nodes), 0.01)
    assert not broken.all_equal
    assert "broken.nir: 1 of 8 nodes" in broken.cause
    with pytest.raises(HardspikeError, match="node lif1"):
        deploy(tmp_path / "broken.nir", 0.01, tmp_path / "other")


def test_what_is_not_equal_is_a_fault_and_on_the_page() -> None:
    apart = Held(files=3, equal=2, numbers=7, differences=("file 1: fc: spikes",))
    netx = NetxPart(onnxruntime=apart, lava=apart, blocks={"dense": 3})
    assert netx_faults(netx)[0] == "netx through onnxruntime: file 1: fc: spikes"
    gone = OnTarget(target="loihi", version="", status="not run", recordings=0, reason="no uv")
    file = ImportedFile(
        file="a.nir",
        sha256="0",
        dt=1.0,
        nodes=2,
        all_equal=False,
        rewrites={},
        compared="",
        random=(gone,),
    )
    sinabs = SinabsPart(recordings="none", steps=1, files=(file,))
    assert sinabs_faults(sinabs) == ["a.nir on loihi: not run: no uv"]
    hostile = HostilePart(
        files=150,
        seed=0,
        by_kind={"nir, cut": Ended(tried=300, refused=290, legal=9, failed=1)},
        seconds=1.25,
        peak_bytes=3 << 20,
        failures={"check nir: cut 7": "too slow"},
    )
    assert hostile_faults(hostile) == ["hostile: check nir: cut 7: too slow"]
    found = page(Study(netx=netx, sinabs=sinabs, hostile=hostile))
    assert "| 3 | 2 | 7 |" in found
    assert "on random spikes equal: none; loihi not run" in found
    assert "| all | 300 | 290 | 9 | 1 |" in found
    assert page(Study()).count("Not run yet.") == 3


def test_a_tally_of_hostile_files_becomes_a_record() -> None:
    tally = Tally(files=1)
    whole = {"seconds": 0.5, "peak_bytes": 4, "grown_bytes": 2}
    tally.add("netx, cut", "import netx: cut", {"status": 2, **whole}, "")
    tally.add("netx, cut", "check netx: cut", {"status": 0, **whole}, "")
    found = hostile_part(tally, 3)
    assert found.by_kind == {"netx, cut": Ended(tried=2, refused=1, legal=1, failed=0)}
    assert (found.files, found.seed, found.seconds, found.peak_bytes) == (1, 3, 0.5, 4)
    assert hostile_headline(found) == {
        "files": 1,
        "tried": 2,
        "refused": 1,
        "legal": 1,
        "failed": 0,
    }


def test_without_recordings_the_record_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(imported_files, "NMNIST_1K", tmp_path / "none")
    monkeypatch.setattr(imported_files, "FILES", ())
    before = Study(absent={"norse": "no"})
    said: list[str] = []
    assert PARTS["sinabs"]([], before, said.append) is before
    (line,) = said
    assert "none: not found" in line


def test_every_toolkit_has_both_directions_of_every_network(study: Study) -> None:
    for toolkit in TOOLKITS:
        assert toolkit.name in study.versions or toolkit.name in study.absent
        if toolkit.name in study.absent:
            continue
        ours = {(name, "") for name in NETWORKS}
        ours |= {(name, one.name) for one in PREPARATIONS[toolkit.name] for name in one.networks}
        wanted = {("ours to theirs", *pair) for pair in ours}
        wanted |= {("theirs to ours", name, "") for name in their_networks(toolkit)}
        cells = [cell for cell in study.cells if cell.toolkit == toolkit.name]
        assert {(cell.direction, cell.network, cell.prepared) for cell in cells} == wanted
        assert len(cells) == len(wanted)


def test_no_difference_is_silent(study: Study) -> None:
    known: dict[str, set[str]] = {
        toolkit.name: {one.name for one in toolkit.changes} for toolkit in TOOLKITS
    }
    for cell in study.cells:
        assert cell.status != "unexplained", cell
        assert set(cell.changes) <= known[cell.toolkit]
        if cell.status == "refused":
            assert cell.cause
        else:
            assert cell.places
            assert (cell.status == "equal") == (cell.differing == 0)
            assert (cell.status == "explained") == bool(cell.changes or cell.rounded)


def test_what_differs_though_the_toolkit_is_told_is_named_by_check(study: Study) -> None:
    """The reasons of the study are those of `check`, word for word."""
    theirs = [cell for cell in study.cells if cell.direction == "theirs to ours"]
    exported = [cell for cell in theirs if cell.status != "refused"]
    for cell in exported:
        assert cell.told.startswith(f"--from {cell.toolkit} --reset ")
        assert bool(cell.options) == (cell.told_differing == 0)
        if not cell.options:
            assert cell.changes
            assert cell.told_first
            assert not unnamed_reasons(cell)
    assert {cell.options for cell in exported} > {""}
    assert not any(cell.told for cell in study.cells if cell.direction == "ours to theirs")


def test_a_reason_that_check_does_not_name_is_a_fault() -> None:
    cell = Cell(
        toolkit="sinabs",
        direction="theirs to ours",
        network="a",
        status="explained",
        changes=("subtract", "many-spikes", "floor"),
        told="--from sinabs --reset subtract",
        told_differing=3,
        told_first="lif1, step 2",
        check="approximated: many-spikes (one)",
    )
    assert unnamed_reasons(cell) == ["floor"]
    assert unnamed_reasons(cell.model_copy(update={"status": "equal"})) == ["why"]
    assert "3 differ, first at lif1, step 2, of which `check` says `approximated" in verdict(cell)
    refused = cell.model_copy(update={"told_differing": None, "check": "node a: no"})
    assert "refused: `check` says `node a: no`" in verdict(refused)


def test_the_worked_versions_are_those_that_are_pinned(study: Study) -> None:
    for name, versions in study.versions.items():
        pinned = (WORKERS / f"{name}.requirements.txt").read_text(encoding="utf-8")
        for package in (name, "nir", "nirtorch"):
            assert f"{package}=={versions[package]} " in pinned


def test_a_record_is_read_back_and_a_damaged_one_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "interop.json"
    assert read_study(path) is None
    cell = Cell(toolkit="norse", direction="theirs to ours", network="a", status="refused")
    held = Held(files=3, equal=3, numbers=9, differences=())
    netx = NetxPart(onnxruntime=held, lava=held, blocks={"dense": 3})
    study = Study(versions={"norse": {"nir": "1"}}, cells=(cell,), netx=netx)
    write_study(study, path)
    assert read_study(path) == study
    assert json.loads(path.read_text())["schema"] == SCHEMA
    path.write_text(path.read_text().replace('"refused"', '"lost"', 1).replace("1", "2", 1))
    with pytest.raises(HardspikeError, match=r"schema: found|cells\.0\.status"):
        read_study(path)


def test_a_toolkits_words_cannot_break_the_table() -> None:
    cell = Cell(
        toolkit="norse",
        direction="theirs to ours",
        network="a",
        status="refused",
        cause="a | b ` c",
    )
    assert verdict(cell) == "refused – `a / b ' c`"
