"""Sweeps: values, names, plans, and stages taken from another run."""

import itertools
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from export.errors import HardspikeError
from export.files import read_json, write_json
from hardware.target import available_cores
from pipeline import sweep_process
from pipeline.config_file import config_tree, load_config
from pipeline.progress import Reporter
from pipeline.run_dir import StageFolder, locked
from pipeline.stages import STAGES, lineage
from pipeline.sweep import run_sweep
from pipeline.sweep_axes import (
    MAX_COMBINATIONS,
    name_of,
    parse_axes,
    settings_of,
    split_values,
    varying,
)
from pipeline.sweep_plan import placed, plan, runs_below
from pipeline.sweep_process import RunProcess, stop_all, thread_limits

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "smoke.yaml"


def faults(work: Callable[[], Any]) -> list[str]:
    with pytest.raises(HardspikeError) as caught:
        work()
    return str(caught.value).splitlines()


SCALARS = st.none() | st.booleans() | st.integers(-999, 999) | st.text("ab ,'\"[]{}:\\", max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("kl", min_size=1), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_values_are_split_where_yaml_splits_a_list(values: list[Any]) -> None:
    """JSON is YAML's flow style; YAML itself reads the same text as one list."""
    text = ", ".join(json.dumps(value) for value in values)
    parser = YAML(typ="safe", pure=True)
    assert parser.load(StringIO(f"[{text}]")) == values
    assert [parser.load(StringIO(part)) for part in split_values(text)] == values


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0,0.05 ,0.1", ["0", "0.05", "0.1"]),
        ("[1,2],[3,4]", ["[1,2]", "[3,4]"]),
        ("{start: 4, end: 12},{start: 2}", ["{start: 4, end: 12}", "{start: 2}"]),
        ("it's,that's", ["it's", "that's"]),
        ("'a,b','it''s, too'", ["'a,b'", "'it''s, too'"]),
        (r'"a\",b",c', [r'"a\",b"', "c"]),
        ("../shared/data", ["../shared/data"]),
        ("1,,2", ["1", "", "2"]),
        ("", [""]),
    ],
)
def test_commas_inside_of_brackets_and_quotes_do_not_split(text: str, parts: list[str]) -> None:
    assert split_values(text) == parts


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["seed=0,,1"], ["--set seed=0,,1", "value 2 is empty"]),
        (["seed="], ["--set seed=", "value 1 is empty"]),
        (["seed=0,1,"], ["value 3 is empty"]),
        (["seed"], ["--set seed", "path=value"]),
        (["seed=0", "seed=1"], ["seed is set twice"]),
        (["train.slope={start: 2, [3"], ["not YAML"]),
        (
            [f"a{i}={','.join('0123456789')}" for i in range(4)],
            ["10,000 combinations", f"{MAX_COMBINATIONS:,}"],
        ),
    ],
)
def test_a_faulty_axis_is_one_line(arguments: list[str], parts: list[str]) -> None:
    (line,) = faults(lambda: parse_axes(arguments))
    for part in parts:
        assert part in line


def test_all_faulty_axes_are_named_together() -> None:
    assert len(faults(lambda: parse_axes(["seed=", "train.rho", "a=1,,2"]))) == 3


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"train.rho": 0.05, "seed": 1}, r"seed=1,train\.rho=0\.05"),
        ({"network.readout": "count", "network.layers.0.bias": True}, r"\S+bias=true,\S+=count"),
        ({}, "base"),
        ({"train.slope": {"start": 4, "end": 12}}, r"train\.slope=start-4\+end-12-[0-9a-f]{8}"),
        ({"data.source.root": "../a b/c"}, r"data\.source\.root=\.\._a_b_c-[0-9a-f]{8}"),
        ({"x" * 300: 1}, r"x{80}-[0-9a-f]{8}"),
        ({".": None}, r"=null-[0-9a-f]{8}"),
    ],
)
def test_a_name_is_readable_and_fit_for_a_folder(settings: dict[str, Any], name: str) -> None:
    assert re.fullmatch(name, name_of(settings))
    assert name_of(dict(reversed(settings.items()))) == name_of(settings)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b.c", "a=1,b"]), VALUES, min_size=1, max_size=2),
        min_size=2,
        max_size=6,
        unique_by=lambda settings: json.dumps(settings, sort_keys=True),
    )
)
def test_different_settings_have_different_names(many: list[dict[str, Any]]) -> None:
    names = [name_of(settings) for settings in many]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_=,+-][A-Za-z0-9._=,+-]{0,88}", name)


def test_what_all_runs_share_is_not_in_their_names() -> None:
    found = varying([settings_of((f"seed={seed}", "train.epochs=3")) for seed in (0, 1)])
    assert found == [{"seed": 0}, {"seed": 1}]
    assert varying([{"seed": 0}]) == [{"seed": 0}]


def test_a_plan_is_every_combination_with_a_config_of_its_own() -> None:
    planned = plan(CONFIG, ["train.rho=0,0.05", "seed=0,1,2", "train.epochs=3"])
    assert len(planned) == 6
    assert [entry.name for entry in planned][:2] == ["seed=0,train.rho=0", "seed=1,train.rho=0"]
    trains = [entry.config.train.model_dump() for entry in planned]
    pairs = [
        (train["rho"], entry.config.seed) for train, entry in zip(trains, planned, strict=True)
    ]
    assert pairs == list(itertools.product((0.0, 0.05), (0, 1, 2)))
    assert {train["epochs"] for train in trains} == {3}


def test_the_order_of_the_command_line_does_not_change_the_folders() -> None:
    axes = ["train.rho=0,0.05", "seed=0,1", "convert.weight_bits=8,4"]
    names = [
        {entry.name for entry in plan(CONFIG, order)} for order in itertools.permutations(axes)
    ]
    assert all(found == names[0] for found in names)


def test_every_fault_of_every_combination_is_named_before_anything_runs() -> None:
    lines = faults(lambda: plan(CONFIG, ["train.rho=-1,0.1,-2", "convert.weight_bits=8,16"]))
    assert [line.partition(": ")[0] for line in lines] == [
        "--set train.rho=-1",
        "--set convert.weight_bits=16",
        "--set train.rho=-2",
    ]


def test_a_fault_of_one_combination_names_it() -> None:
    axes = ["train.epochs=1,4", "train.rho=0,0.1"]
    (line,) = faults(lambda: plan(CONFIG, axes))
    assert "rho_warmup.zero_epochs is 1 of 1 epochs" in line
    assert "(in train.epochs=1,train.rho=0.1)" in line


def test_a_fault_of_the_file_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(CONFIG.read_text().replace("\n  epochs:", "\n  epoch:"))
    (line,) = faults(lambda: plan(path, ["seed=0,1"]))
    assert line.startswith(f"{path}: train.epoch: unknown key")
    assert "(in" not in line


@pytest.mark.parametrize("values", ["0.05,5e-2", "0,0", "0.1,0.10,0.2"])
def test_two_combinations_that_are_one_experiment_are_refused(values: str) -> None:
    (line,) = faults(lambda: plan(CONFIG, [f"train.rho={values}"]))
    assert line.startswith("--set")


def test_a_value_that_is_given_twice_is_named() -> None:
    (line,) = faults(lambda: plan(CONFIG, ["train.rho=0,0.1,0", "seed=0,1"]))
    assert line == "--set train.rho=0,0.1,0: found 0 2 times; a value is allowed once"


def test_runs_share_the_stages_up_to_where_their_configs_part() -> None:
    base = lineage(load_config(CONFIG))
    assert len(base) == len(STAGES) - 1
    for override, shared in {
        "seed=1": 0,
        "train.rho=0": 0,
        "convert.weight_bits=4": 1,
        "evaluate.threads=1": 3,
        "name=other": 4,
    }.items():
        other = lineage(load_config(CONFIG, [override]))
        same = [a == b for a, b in zip(base, other, strict=True)]
        assert same == [True] * shared + [False] * (4 - shared), override


def finished(run: Path, key: str, data: bytes = b"weights") -> StageFolder:
    folder = StageFolder(run, "train")
    folder.path.mkdir(parents=True)
    (folder.path / "model.bin").write_bytes(data)
    folder.finish(key, {"seed": 0}, {}, ["model.bin"], time.time(), {})
    return folder


def test_a_finished_stage_is_copied_to_the_byte(tmp_path: Path) -> None:
    other, source = finished(tmp_path / "other", "k0"), finished(tmp_path / "source", "k1")
    taker = StageFolder(tmp_path / "taker", "train")
    runs = [tmp_path / "absent", taker.run, other.run, source.run]
    with taker.replaced(keep=True):
        assert taker.copied("k1", runs) == source.run
    assert taker.is_done("k1")
    for name in ("model.bin", "manifest.json"):
        assert (taker.path / name).read_bytes() == (source.path / name).read_bytes()
    assert sorted(path.name for path in taker.path.iterdir()) == ["manifest.json", "model.bin"]


@pytest.mark.parametrize("damage", ["edited", "gone", "manifest", "incomplete"])
def test_a_damaged_or_unfinished_stage_is_not_copied(tmp_path: Path, damage: str) -> None:
    source = finished(tmp_path / "source", "k")
    match damage:
        case "edited":
            (source.path / "model.bin").write_bytes(b"weighty")
        case "gone":
            (source.path / "model.bin").unlink()
        case "manifest":
            source.manifest_path.write_text("{")
        case "incomplete":
            manifest = read_json(source.manifest_path) | {"incomplete": ["loihi"]}
            source.manifest_path.write_text(json.dumps(manifest))
    taker = StageFolder(tmp_path / "taker", "train")
    assert taker.copied("k", [source.run]) is None
    assert not taker.path.exists()


def test_cores_are_shared_by_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert thread_limits(1) == {}
    assert thread_limits(10_000) == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    assert thread_limits(2)["OMP_NUM_THREADS"] == str(max(1, available_cores() // 2))


def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> RunProcess:
    """A process of a sweep with another program in it."""
    monkeypatch.setattr(sweep_process, "_WORKER", program)
    return RunProcess({}, tmp_path / "run", [], tmp_path / "logs" / "run.log", {})


def ended(process: RunProcess) -> str | None:
    deadline = time.monotonic() + 30
    while not process.ended and time.monotonic() < deadline:
        time.sleep(0.01)
    return process.close()


FAULTS = "import sys; print('hardspike: a.bin: cut short'); print('hardspike: b.bin: too'); "


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("pass", None),
        (FAULTS + "sys.exit(2)", "a.bin: cut short; b.bin: too"),
        ("print('so far'); raise MemoryError('no room')", "MemoryError: no room"),
        ("import sys; sys.exit(7)", "nothing was printed"),
        (
            "import os; print('epoch 3', flush=True); os.kill(os.getpid(), 9)",
            "ended by signal 9 (Killed); last line: epoch 3",
        ),
    ],
)
def test_a_process_that_ends_badly_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str | None
) -> None:
    found = ended(started(tmp_path, monkeypatch, program))
    assert found is None if reason is None else reason in str(found)


def test_all_processes_are_stopped_and_the_stubborn_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_process, "_STOP_SECONDS", 0.5)
    orderly = "import pathlib, signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(0))\n"
    stubborn = "import pathlib, signal, time\nsignal.signal(15, signal.SIG_IGN)\n"
    processes = []
    for name, program in {"a": orderly, "b": stubborn}.items():
        ready = tmp_path / name
        text = f"{program}pathlib.Path({str(ready)!r}).touch()\ntime.sleep(100)"
        processes.append(started(tmp_path / f"run-{name}", monkeypatch, text))
        while not ready.exists():
            time.sleep(0.01)
    stop_all(processes)
    assert processes[0].close() is None
    assert "signal 9" in str(processes[1].close())


def test_a_worker_ends_in_order_when_its_sweep_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipe's other end closes with the sweep, however that ends."""
    ready = tmp_path / "ready"
    program = (
        "import pathlib, sys, threading, time; sys.path.insert(0, "
        f"{str(CONFIG.parents[1])!r}); from pipeline.exits import guarded; "
        "from pipeline.sweep_worker import _end_with_the_sweep as watch; "
        "sys.stdin.buffer.readline(); threading.Thread(target=watch, daemon=True).start(); "
        f"work = lambda: (pathlib.Path({str(ready)!r}).touch(), time.sleep(100)); "
        "sys.exit(guarded(work))"
    )
    process = started(tmp_path, monkeypatch, program)
    while not ready.exists() and not process.ended:
        time.sleep(0.01)
    process._let_go()
    assert process._process.wait(30) == 128 + signal.SIGTERM


def test_a_sweep_refuses_a_run_another_folder_and_a_second_sweep(tmp_path: Path) -> None:
    planned = plan(CONFIG, ["seed=0,1"])

    def refused(parent: Path) -> str:
        (line,) = faults(lambda: run_sweep(planned, parent, 1, Reporter(quiet=True)))
        return line

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    assert "is a run folder" in refused(tmp_path / "run")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").touch()
    assert "no sweep folder (it holds letter.txt, but no sweep.json)" in refused(tmp_path / "home")
    with locked(tmp_path / "sweep", "sweep", "sweep.json"):
        assert "another hardspike process" in refused(tmp_path / "sweep")
    assert os.listdir(tmp_path / "sweep") == [".lock"]  # noqa: PTH208


LOGGED = """
import json, os, pathlib, sys, time
run = pathlib.Path(json.loads(sys.stdin.buffer.readline())["run"])
def note(what):
    with open(run.parent / "events.log", "a") as file:
        file.write(f"{what} {run.name}\\n")
note("start")
time.sleep(SECONDS)
note("end")
"""


def events(parent: Path) -> list[list[str]]:
    path = parent / "events.log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_runs_that_train_alike_wait_for_one_another_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs here finish nothing, so each has to do the shared stages itself."""
    monkeypatch.setattr(sweep_process, "_WORKER", LOGGED.replace("SECONDS", "0.7"))
    planned = plan(CONFIG, ["convert.weight_bits=8,4", "seed=0,1"])
    run_sweep(planned, tmp_path / "s", 4, Reporter(quiet=True))
    seen = events(tmp_path / "s")
    assert len(seen) == 8
    at_work: set[str] = set()
    most = 0
    for what, name in seen:
        if what == "end":
            at_work.remove(name)
            continue
        seeds = [other.rpartition("=")[2] for other in at_work]
        assert name.rpartition("=")[2] not in seeds, seen
        at_work.add(name)
        most = max(most, len(at_work))
    assert most == 2


def test_an_interrupt_ends_the_runs_and_leaves_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_process, "_WORKER", LOGGED.replace("SECONDS", "100"))
    # A shell's background job starts with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        while len(events(tmp_path / "s")) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_sweep(plan(CONFIG, ["seed=0,1,2"]), tmp_path / "s", 2, Reporter(quiet=True))
    finally:
        signal.signal(signal.SIGINT, before)
    assert [what for what, _ in events(tmp_path / "s")] == ["start", "start"]
    statuses = [entry["status"] for entry in read_json(tmp_path / "s" / "sweep.json")["runs"]]
    assert statuses == ["pending"] * 3


def test_a_run_that_is_there_under_another_name_is_taken(tmp_path: Path) -> None:
    """Names follow the keys that vary; a wider sweep must still find the runs of a narrower one."""
    narrow = plan(CONFIG, ["seed=0,1"])
    for combination in narrow:
        write_json(tmp_path / combination.name / "config.json", config_tree(combination.config))
    wide = plan(CONFIG, ["seed=0,1", "train.rho=0.05,0"])
    found = placed(wide, runs_below(tmp_path))
    assert [entry.name for entry in found] == [
        "seed=0",
        "seed=0,train.rho=0",
        "seed=1",
        "seed=1,train.rho=0",
    ]
    other = placed(plan(CONFIG, ["train.epochs=3,4", "seed=0"]), runs_below(tmp_path))
    assert [entry.name for entry in other] == ["train.epochs=3", "seed=0"]
    taken = placed(plan(CONFIG, ["seed=0,1", "train.rho=0"]), {"seed=0": wide[3].config})
    assert taken[1].name == "seed=0"
    assert re.fullmatch(r"seed=0-[0-9a-f]{8}", taken[0].name)
