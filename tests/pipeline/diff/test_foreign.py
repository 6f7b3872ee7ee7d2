"""`hardspike diff` on files of other toolkits: what they leave open is said, or refused."""

import contextlib
import itertools
import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.interop_study.netx_files import write_blocks
from export.contract_file import write_network
from export.imported.toolkits.names import TOOLKIT_NAMES
from export.network import LIF, Dense, HardSpikeNetwork, Layer
from hardware.loihi import environment
from pipeline.cli import main
from pipeline.diff.given import OPTIONS, TARGETS, parse_given
from pipeline.diff.loading import load_subjects
from tests.export.imported.nir_files import conv, full, lif, recurrent, small_cnn, weights, write
from tests.pipeline.imported.test_from_toolkit import of_sinabs

LAVA_DL = Path(__file__).resolve().parents[2] / "lava_dl_files"
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "nir"
UNAVAILABLE = environment.availability().reason
LAVA = pytest.param(
    *("dense", "loihi"),
    marks=[
        pytest.mark.loihi,
        pytest.mark.timeout(300),
        pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE)),
    ],
)
small = settings(max_examples=60, deadline=None, database=None, derandomize=True)
DATA = """\
name: small
data:
  source: {kind: saccade-mnist, train: 40, test: 10}
  binning: {steps: 6, mode: binary, downsample: 5}
"""


def diff(*arguments: Any, out: Path) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the report, which stands where the status is not 2."""
    status = main(["diff", *map(str, arguments), "--quiet", "-o", str(out / "out")])
    file = out / "out" / "diff.json"
    return status, json.loads(file.read_text()) if file.exists() else {}


def imported(path: Path, run: Path, *said: Any, stages: Any = ("convert", "deploy")) -> Path:
    """Import a file and deploy it."""
    assert main(["import", *map(str, (path, *said)), "-o", str(run), "--quiet"]) == 0
    for stage in stages:
        assert main([stage, str(run), "--quiet"]) == 0
    return run


def of_saccades() -> dict[str, Any]:
    """Return a network for recordings of 7×7 pixels, its nodes numbered as sinabs numbers them."""
    return {
        "input": nir.Input(np.array([2, 7, 7])),
        "0": conv((7, 7), weights(4, 2, 4, 4) / 3),
        "1": lif((4, 4, 4), tau=0.05, v_threshold=0.09),
        "2": nir.Flatten({"input": np.array([4, 4, 4])}, 0, -1),
        "3": nir.Affine(weights(10, 64, seed=1) / 3, full(10, 0.125)),
        "4": lif((10,), tau=0.05),
        "output": nir.Output(np.array([10])),
    }


@small
@given(
    target=st.none() | st.sampled_from(TARGETS),
    said=st.fixed_dictionaries(
        {},
        optional={
            "dt": st.floats(1e-9, 1e3),
            "reset": st.sampled_from(["zero", "subtract"]),
            "readout": st.sampled_from(["count", "membrane"]),
            "steps": st.integers(1, 1000),
            "input_shape": st.tuples(*[st.integers(1, 99)] * 3),
            "toolkit": st.sampled_from(TOOLKIT_NAMES),
        },
    ),
    order=st.randoms(use_true_random=False),
)
def test_what_stands_behind_a_path_is_parted_in_any_order(
    target: str | None, said: dict[str, Any], order: Any
) -> None:
    def text(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

    words = {"input_shape": "input-shape", "toolkit": "from"}
    parts = [f"@{words.get(name, name)}={text(value)}" for name, value in said.items()]
    parts += [] if target is None else [f"@{target}"]
    order.shuffle(parts)
    found = parse_given("not/there.nir" + "".join(parts))
    assert (found.path, found.target, found.said) == (Path("not/there.nir"), target, said)
    assert said.keys() <= OPTIONS.keys()


def test_settings_stand_behind_a_path_again_and_again() -> None:
    found = parse_given("not/there.nir@setting=a=1@loihi@setting=b=x=y@from=sinabs@setting=c")
    assert found.said == {"toolkit": "sinabs", "settings": ("a=1", "b=x=y", "c")}
    assert (found.path, found.target) == (Path("not/there.nir"), "loihi")


def test_one_file_under_both_resets(tmp_path: Path) -> None:
    """Where do the spikes part if a spike takes the threshold off instead of all?"""
    path = write(tmp_path / "theirs.nir", small_cnn())
    sides = f"{path}@reset=zero", f"{path}@reset=subtract"
    status, report = diff(*sides, "--dt", "0.01", "--steps", "12", out=tmp_path)
    assert status == 1
    assert report["conclusion"] == "Reset kinds differ in layer lif1: zero in A, subtract in B."
    assert [entry["layer"] for entry in report["layers"]] == ["lif1", "lif2"]
    assert report["first_parting"]["step"] > 0
    assert report["effects"].keys() == {"reset"}
    words = {"value": 0.01, "of": "given"}, {"value": "subtract", "of": "given"}
    assert (report["b"]["read_with"]["dt"], report["b"]["read_with"]["reset"]) == words
    assert "B was read with dt 0.01 (given), steps 12 (given), reset subtract (given)" in str(
        report["notes"]
    )
    with contextlib.chdir(tmp_path):
        main(["diff", *sides, "--dt", "0.01", "--steps", "4", "--quiet"])
        assert Path("diff-theirs.nir@reset=zero-theirs.nir@reset=subtract").is_dir()


def test_one_reading_twice_is_equal(tmp_path: Path) -> None:
    """Nested, recurrent, delayed: what a file holds is the same on both sides."""
    path = write(tmp_path / "rnn.nir", *recurrent())
    said = ("--dt", "0.01", "--reset", "zero", "--steps", "20", "--random", "0.6")
    status, report = diff(path, path, *said, out=tmp_path)
    assert status == 0
    assert report["equal"]
    assert report["layers"][0]["spikes_a"] > 0


def test_a_step_of_another_length_is_a_decay(tmp_path: Path) -> None:
    """Two toolkits' files of one network, of which one counts steps."""
    nodes = small_cnn()
    one = write(tmp_path / "seconds.nir", nodes)
    for name in ("lif1", "lif2"):
        nodes[name].tau = nodes[name].tau / np.float32(0.01)
    other = write(tmp_path / "steps.nir", nodes)
    both = ("--reset", "zero", "--steps", "10")
    status, report = diff(f"{one}@dt=0.01", f"{other}@dt=1", *both, out=tmp_path)
    assert status == 0, report["conclusion"]
    status, report = diff(f"{one}@dt=0.01", f"{other}@dt=0.5", *both, out=tmp_path)
    assert status == 1
    assert "decay" in [cause["kind"] for cause in report["causes"]]


def test_a_file_against_the_run_that_was_made_of_it(tmp_path: Path) -> None:
    """What was said as it was imported holds, and a run without recordings takes random spikes."""
    path = write(tmp_path / "theirs.nir", of_saccades())
    run = imported(path, tmp_path / "run", "--dt", "0.01", "--reset", "subtract", "--steps", "9")
    status, report = diff(path, f"{run}@onnxruntime", out=tmp_path)
    assert status in (0, 1)
    assert report["a"]["kind"] == "float"
    assert report["b"]["target"] == "onnxruntime"
    words = {name: word["value"] for name, word in report["a"]["read_with"].items()}
    assert words["reset"] == "subtract"
    assert (words["dt"], words["steps"]) == (0.01, 9)
    assert {word["of"] for word in report["a"]["read_with"].values()} == {str(run)}
    assert "random spikes" in report["recordings"]["what"]
    assert all(entry["a"]["reset"] == entry["b"]["reset"] for entry in report["parameters"])
    status, report = diff(f"{path}@reset=zero", run, out=tmp_path)
    assert status == 1
    assert "Reset kinds differ" in report["conclusion"]


SINGLE, WHOLE = ("--setting", "spike_fn=SingleSpike"), ("--setting", "norm_input=False")


@pytest.mark.parametrize(
    ("said", "reset"),
    [
        (("--from", "sinabs", *SINGLE, *WHOLE), "zero"),
        (("--from", "sinabs", *SINGLE, "--dt", "1"), "subtract"),
        (
            (
                "--from",
                "sinabs",
            ),
            "zero",
        ),
    ],
)
def test_a_file_against_the_run_that_was_made_of_it_as_its_toolkit_has_it(
    said: tuple[str, ...], reset: str, tmp_path: Path
) -> None:
    """Its toolkit and settings hold too: all that differs are the integers."""
    path, run = of_sinabs(tmp_path), tmp_path / "run"
    imported(path, run, *said, "--reset", reset, "--steps", "40")
    ours = run / "convert" / "network.float.safetensors"
    status, report = diff(path, ours, "--random", "0.5", out=tmp_path)
    assert (status, report["conclusion"][:34]) == (0, "The spikes are the same everywhere")
    assert all(entry["spikes_a"] > 0 for entry in report["layers"])
    assert not any(entry["differing"] for entry in report["parameters"])
    words = report["a"]["read_with"]
    assert words["toolkit"] == {"value": "sinabs", "of": str(run)}
    settings = [one for one in said if "=" in one]
    assert words.get("settings", {"value": []})["value"] == settings
    listed = f", setting {','.join(settings)} ({run})" if settings else ""
    assert f"from sinabs ({run}){listed}" in report["notes"][0]
    _, report = diff(path, run, "--random", "0.5", out=tmp_path)
    assert {one for entry in report["parameters"] for one in entry["differing"]} <= {"rounding"}


def test_settings_are_taken_one_by_one(tmp_path: Path) -> None:
    """One of them behind the path leaves the others as the import had them."""
    path, run = of_sinabs(tmp_path), tmp_path / "run"
    said = ("--from", "sinabs", *SINGLE, *WHOLE, "--reset", "zero", "--steps", "40")
    imported(path, run, *said)
    _, report = diff(f"{path}@setting=norm_input=True", run, "--random", "0.5", out=tmp_path)
    settings = {"value": ["norm_input=True", "spike_fn=SingleSpike"], "of": f"given and {run}"}
    assert report["a"]["read_with"]["settings"] == settings
    assert report["conclusion"].startswith("Threshold differs in layer lif: 0.27 in A, 0.049")


def test_another_toolkit_than_the_imports_has_its_own_step(tmp_path: Path) -> None:
    path, run = of_sinabs(tmp_path), tmp_path / "run"
    imported(path, run, "--from", "sinabs", "--dt", "1", *WHOLE, "--reset", "zero", "--steps", "9")
    _, report = diff(f"{path}@from=norse@dt=1", run, out=tmp_path)
    words = report["a"]["read_with"]
    assert "settings" not in words
    assert words["dt"] == {"value": 1.0, "of": "given"}
    assert words["reset"] == {"value": "zero", "of": str(run)}
    sides = f"{path}@from=norse", f"{path}@dt=1"
    _, report = diff(*sides, "--reset", "zero", "--steps", "9", out=tmp_path)
    assert "toolkit" not in report["b"]["read_with"]


def test_one_file_as_two_toolkits_have_it(tmp_path: Path) -> None:
    """A step on the command line is for the side whose toolkit has none of its own."""
    path = of_sinabs(tmp_path)
    sides = f"{path}@from=sinabs@setting=spike_fn=SingleSpike@setting=tau_syn=3", path
    said = ("--dt", "1", "--reset", "zero", "--steps", "40", "--random", "0.5")
    status, report = diff(*sides, *said, out=tmp_path)
    assert status == 1
    assert "current-decay" in [cause["kind"] for cause in report["causes"]]
    assert report["a"]["read_with"]["settings"]["value"] == ["spike_fn=SingleSpike", "tau_syn=3"]
    assert "dt" not in report["a"]["read_with"]
    assert report["b"]["read_with"]["dt"] == {"value": 1.0, "of": "given"}


def test_a_file_that_changed_since_has_to_be_spoken_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps and input are the recordings' all the same."""
    said = ("--dt", "0.01", "--reset", "zero", "--steps", "9")
    nodes = of_saccades()
    run = imported(write(tmp_path / "old.nir", nodes), tmp_path / "run", *said)
    nodes["3"].bias[:] = 0.75
    new = write(tmp_path / "new.nir", nodes)
    assert diff(new, run, out=tmp_path)[0] == 2
    assert f"{new}: dt: the file does not say how long a step is" in capsys.readouterr().err
    status, report = diff(new, run, "--dt", "0.01", "--reset", "zero", out=tmp_path)
    assert status == 1
    assert report["a"]["read_with"]["steps"] == {"value": 9, "of": str(run)}
    assert "bias" in [cause["kind"] for cause in report["causes"]]


def test_recordings_and_labels_are_the_runs(tmp_path: Path) -> None:
    path = write(tmp_path / "theirs.nir", of_saccades())
    (tmp_path / "data.yaml").write_text(DATA)
    said = ("--dt", "0.01", "--reset", "zero")
    data = ("--data", tmp_path / "data.yaml")
    run = imported(path, tmp_path / "run", *said, *data)
    status, report = diff(path, run, out=tmp_path)
    assert status in (0, 1)
    assert report["recordings"] == {
        "what": f"10 test recordings of {run}",
        "n": 10,
        "steps": 6,
    }
    assert report["predictions"]["a"]["n"] == 10
    other = write(tmp_path / "other.nir", of_saccades())
    status, report = diff(path, other, *said, *data, out=tmp_path)
    assert status == 0
    assert report["a"]["read_with"]["steps"]["of"] == str(tmp_path / "data.yaml")


def test_an_image_flattened_in_another_order_is_found(tmp_path: Path) -> None:
    """A toolkit that takes a vector says nothing of its order; its weights do."""
    rng = np.random.default_rng(3)
    weight_OI = rng.normal(size=(6, 2 * 3 * 4)).astype(np.float32)
    layer = Layer("out", Dense(weight_OI), LIF(0.5, 1.0))
    ours = HardSpikeNetwork((2, 3, 4), (layer,), "count", 12, 0.01)
    write_network(ours, tmp_path / "ours.safetensors")
    files: list[Path] = []
    for order in ((0, 1, 2), (1, 2, 0)):
        turned = weight_OI.reshape(6, 2, 3, 4).transpose(0, *(1 + axis for axis in order))
        nodes = {
            "input": nir.Input(np.array([24])),
            "0": nir.Linear(turned.reshape(6, 24)),
            "1": lif((6,), tau=0.02, r=2.0, v_threshold=1.0),
            "output": nir.Output(np.array([6])),
        }
        files.append(write(tmp_path / f"{len(files)}.nir", nodes))
    said = (tmp_path / "ours.safetensors", "--dt", "0.01", "--reset", "zero")
    status, report = diff(files[0], *said, out=tmp_path)
    assert status == 0
    assert "A takes a vector: recordings are flattened to it, (C, H, W) in order" in report["notes"]
    status, report = diff(files[1], *said, out=tmp_path)
    assert status == 1
    assert "B's are A's with inputs ordered (C, H, W) instead of (H, W, C)" in report["conclusion"]
    assert report["layers"][0]["layer"] == "1 | out"


@pytest.mark.parametrize(
    ("name", "target"),
    [("conv", "onnxruntime"), ("recurrent", "onnxruntime-step"), LAVA],
)
def test_files_of_lava_dl_on_their_targets(name: str, target: str, tmp_path: Path) -> None:
    path, said = LAVA_DL / f"{name}.net", ("--steps", "12", "--readout", "count", "--random", "0.4")
    status, report = diff(path, f"{path}@{target}", *said, "--samples", "3", out=tmp_path)
    assert status == 0
    assert report["layers"][0]["spikes_a"] > 0
    assert f"B: {target} ran a file that was written from {path}" in report["notes"]


def test_a_file_of_lava_dl_against_another(tmp_path: Path) -> None:
    """One weight differs, and a run of the first, imported, is as the file."""
    first = {"type": "input", "shape": np.array([6])}
    neuron = {"type": "CUBA", "gradedSpike": False, "refDelay": 1, "vThMant": 300}
    neuron |= {"iDecay": 1024, "vDecay": 200}
    weight = (2 * np.random.default_rng(0).integers(-20, 40, (5, 6))).astype(np.float32)
    paths = []
    for change in (0, 60):
        weight[2, 3] += change
        block = {"type": "dense", "shape": np.array([5]), "weight": weight, "neuron": neuron}
        paths.append(tmp_path / f"{change}.net")
        write_blocks(paths[-1], [first, block])
    said = ("--steps", "20", "--readout", "count")
    status, report = diff(*paths, *said, "--random", "0.4", out=tmp_path)
    assert status == 1
    assert [cause["kind"] for cause in report["causes"]] == ["weights"]
    assert report["layers"][0]["layer"] == "dense1"
    run = imported(paths[0], tmp_path / "run", *said)
    status, report = diff(paths[0], run / "deploy" / "model.net", out=tmp_path)
    assert status == 0
    assert report["a"]["read_with"]["readout"] == {"value": "count", "of": str(run)}


def test_our_files_are_known_by_their_content(tmp_path: Path) -> None:
    path = write(tmp_path / "theirs.nir", of_saccades())
    run = imported(path, tmp_path / "run", "--dt", "0.01", "--reset", "zero", "--steps", "4")
    for name in ("model.net", "model.nir", "model.sequence.onnx"):
        moved = tmp_path / f"{name}.of-ours"
        moved.write_bytes((run / "deploy" / name).read_bytes())
        found, wanted = load_subjects((str(moved), str(run / "deploy" / name)), {}, {})
        assert (found.form, found.words, found.target) == (wanted.form, {}, wanted.target)
        assert found.network.steps == 4


def test_a_rate_in_hertz_needs_one_length_of_a_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "theirs.nir", of_saccades())
    said = ("--reset", "zero", "--steps", "5", "--random", "50Hz")
    sides = f"{path}@dt=0.01", f"{path}@dt=0.02"
    assert diff(*sides, *said, out=tmp_path)[0] == 2
    assert "a step lasts 0.01 s in" in capsys.readouterr().err
    _, report = diff(*sides, *said, "--seconds", "0.002", out=tmp_path)
    assert "density 0.1 a step" in report["recordings"]["what"]


ASKS = ("--dt", "0.01", "--reset", "zero", "--steps", "4")


@pytest.mark.parametrize(
    ("a", "b", "rest", "message"),
    [
        ("NIR", "NIR", ASKS[:4], "steps: the file does not say how many steps"),
        ("NIR", "NIR@dt=1", ["--steps", "4", "--reset", "zero"], "dt: the file does not say how"),
        ("NIR@reset=hard", "NIR", ASKS, "@reset: found 'hard', allowed zero, subtract"),
        ("NIR@dt=-1", "NIR", ASKS, "@dt: found -1, allowed a number above 0"),
        ("NIR@input-shape=2,7", "NIR", ASKS, "@input-shape: found 2,7, allowed C,H,W"),
        ("NIR@dt=1@dt=2", "NIR", ASKS, "found two of '@dt', allowed one"),
        ("OURS@loihi@loihi", "NIR", ASKS, "found two of '@loihi', allowed one"),
        ("NIR@tau=1", "NIR", ASKS, "target: found 'tau=1', allowed reference, onnxruntime"),
        ("NIR@input-shape=2,7,7", "NIR", ASKS, "@input-shape: found one, and the file leaves open"),
        ("OURS@reset=zero", "OURS", [], "@reset: found one, and the file says all itself"),
        ("NET@dt=1", "NET", ["--steps", "4"], "leaves open readout, steps"),
        ("NET", "NET", ["--steps", "4"], "readout: the file does not say it; give --readout"),
        ("OURS", "OURS", ["--reset", "zero"], "--reset: found one without effect: A ("),
        ("OURS", "NET", ["--reset", "zero"], "B (NET) leaves open readout, steps"),
        (
            "NIR@dt=1",
            "NIR@dt=1",
            ASKS,
            "--dt: found one without effect: A (NIR@dt=1) leaves open from, readout, refractory, ",
        ),
        ("OURS", "OURS", ["--from", "norse"], "--from: found one without effect: A (OURS) says"),
        ("OURS", "OURS", WHOLE, "--setting: found one without effect: A (OURS) says all itself"),
        ("NET@from=norse", "NET", ["--steps", "4"], "@from: found one, and the file leaves open"),
        ("NIR", "NIR", [*ASKS, *WHOLE], "--setting: found without --from, allowed with it"),
        ("NIR", "NIR", [*ASKS, "--from", "sinabs"], "--dt: found 0.01, allowed 1: sinabs writes"),
        ("NIR@from=brian", "NIR", ASKS, "@from: found 'brian', allowed snntorch, norse"),
        ("NIR@from=norse@from=sinabs", "NIR", ASKS, "found two of '@from', allowed one"),
        (
            "NIR@from=norse@setting=foo=1",
            "NIR",
            ASKS,
            "--setting: found 'foo=1', allowed of Norse: none",
        ),
        (
            "NIR@from=sinabs@setting=tau_syn=1@setting=tau_syn=2",
            "NIR",
            ASKS,
            "--setting: tau_syn: found 1 and 2, allowed one",
        ),
        ("NIR@from=sinabs", "NIR@from=sinabs", ASKS, "--dt: found one without effect: A (NIR"),
        (
            "NIR@setting=norm_input=True",
            "OURS",
            [*ASKS[2:], "--from", "sinabs", *WHOLE],
            "--setting: found one without effect: A (NIR",
        ),
        ("NIR", "NIR", [*ASKS, "--seconds", "1"], "--seconds: found one without effect: allowed"),
        ("OURS", "OURS", ["--seconds", "1", "--random", "1Hz"], "--seconds: found one without"),
        ("NIR@loihi", "NIR", ASKS, "target: found 'loihi' for a float network"),
        ("CUT", "NIR", ASKS, "CUT: "),
        ("NIR", "OTHER", [*ASKS, "--input-shape", "1,2,3"], "--input-shape: found one without"),
        ("NIR", "OTHER", ASKS, "input_shape: found (2, 7, 7) in"),
        ("BATCH", "NIR", ASKS, "an axis of 3 recordings; allowed is one"),
    ],
)
def test_faults_are_one_line(
    a: str,
    b: str,
    rest: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nodes = of_saccades()
    places = {"NIR": write(tmp_path / "theirs.nir", nodes), "NET": LAVA_DL / "dense.net"}
    places["OTHER"] = write(tmp_path / "other.nir", small_cnn())
    places["BATCH"] = write(
        tmp_path / "batch.nir", nodes | {"input": nir.Input(np.array([3, 2, 7, 7]))}
    )
    places["CUT"] = tmp_path / "cut.nir"
    places["CUT"].write_bytes(places["NIR"].read_bytes()[:3000])
    places["OURS"] = tmp_path / "ours.safetensors"
    layers = (Layer("out", Dense(np.ones((2, 9), np.float32)), LIF(0.5, 1.0)),)
    write_network(HardSpikeNetwork((9, 1, 1), layers, "count", 4, 0.01), places["OURS"])

    def placed(text: str) -> str:
        return "".join(
            str(places.get(part, part))
            for part in itertools.chain.from_iterable(
                (part, "@") if at == 0 and "@" in text else (part,)
                for at, part in enumerate(text.split("@", 1))
            )
        )

    status, report = diff(placed(a), placed(b), *rest, out=tmp_path)
    shown = capsys.readouterr()
    wanted = message
    for key, place in places.items():
        wanted = wanted.replace(f"({key}", f"({place}").replace(f"{key}: ", f"{place}: ")
    assert (status, report) == (2, {})
    assert wanted in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "dt"), [("cnn_sinabs.nir", 1), ("lif_norse.nir", 1e-4), ("two_lif_neurons.nir", 1e-3)]
)
def test_files_of_other_toolkits_under_both_resets(name: str, dt: float, tmp_path: Path) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there: graphs of other toolkits lie beside the checkout")
    sides = f"{path}@reset=zero", f"{path}@reset=subtract"
    some = ("--steps", "30", "--samples", "8", "--random", "0.3")
    status, report = diff(*sides, "--dt", dt, *some, out=tmp_path)
    assert status == 1
    assert "Reset kinds differ in layer" in report["conclusion"]
    assert {entry["a"]["reset"] for entry in report["parameters"]} == {"zero"}
    assert report["effects"].keys() == {"reset"}
