"""The tables, sentences and headline of the study of deployment on made-up records, by hand."""

import functools
import json
from typing import Any

import pytest

from benchmarks.deployment_study.found import Found
from benchmarks.deployment_study.page import conclusions, page
from benchmarks.deployment_study.pictures import pictures
from benchmarks.deployment_study.quickstart import EnergyRun, LatencyRun, SuiteRun
from benchmarks.deployment_study.quickstart_tables import energy_table, latency_table, suite_table
from benchmarks.deployment_study.settings import ARMS, BASELINE, NMNIST
from benchmarks.deployment_study.tables import (
    against_baseline,
    cost_table,
    headline,
    lead,
    matrix,
    ranking,
    retained,
    retained_table,
)
from benchmarks.deployment_study.withstand import Withstood
from benchmarks.records import RunRecord, read_records
from benchmarks.sast_study.plan import RECORDS as OTHER_RECORDS
from benchmarks.statistics import Match

N = 200
SUITE = {"events": {"drop": ["50%", "90%"], "noise": ["1 Hz"]}, "faults": {"dead_neurons": ["5%"]}}
KEY = "0" * 64


@functools.cache
def template() -> str:
    """Return a committed record as JSON."""
    return read_records(OTHER_RECORDS)[0].model_dump_json(by_alias=True)


def record(arm: str, fold: int, correct: int, seconds: float, flops: int | None) -> RunRecord:
    """Return a committed record with other figures, of 200 recordings."""
    tree = json.loads(template())
    tree |= {"arm": f"{NMNIST}-{arm}", "name": f"{arm}-fold{fold}", "fold": fold, "seed": 0}
    tree["figures"]["deployed"] = {"correct": correct, "n": N}
    tree["figures"]["training"] |= {"seconds": seconds, "flops": flops, "joules": None}
    return RunRecord.model_validate_json(json.dumps(tree))


def entry(fold: int, clean: int, drop: tuple[float, float], noise: float, dead: float) -> Withstood:
    return Withstood(
        network_sha256=KEY,
        suite_sha256=KEY,
        fold=fold,
        seed=0,
        n=N,
        clean=clean,
        events={"drop": drop, "noise": (noise,)},
        faults={"dead_neurons": (dead,)},
        mean_weights=(0.3, 0.2),
    )


SUITE_RUN = SuiteRun(
    network_sha256=KEY,
    processor="a processor",
    processors=2,
    recordings=1000,
    cells=51,
    seconds=123.4,
    whole_cells=116,
    whole_seconds=300.0,
    killed_after_cells=20,
    same_bytes_when_resumed=True,
    clean_accuracy=0.97,
    mean_retained={"events": 0.8, "faults": 0.9},
)
LATENCY = LatencyRun(
    network_sha256=KEY,
    processor="a processor",
    processors=2,
    onnxruntime="1.31",
    repeats=500,
    network_ms={"1": 0.3, "2": 0.35},
    floor_ms={"1": 0.15, "2": 0.15},
    events_to_class_ms={"1": 1.0, "2": 1.1},
    step_ms={"1": 0.1, "2": 0.1},
    over_floor={"1": 2.0, "2": 2.33},
    over_floor_of_minima={"1": 2.1, "2": 2.4},
    ort_over_torch_eager={"1": 6.0, "2": 5.0},
    ort_over_torch_batched={"1": 1.6},
    load_average=0.5,
)
ENERGY = EnergyRun(
    network_sha256=KEY,
    processor="a processor",
    processors=2,
    recordings=20,
    cores=13,
    operations={"synapse": 1000.0},
    simulated_joules={"synapse": 6e-6, "soma": 3e-6, "network": 1e-6, "total": 10e-6},
    simulated_sd=1e-6,
    published_joules={"synapse": 5e-6, "soma": 3e-6, "total": 8e-6},
    published_sd=0.5e-6,
    simulated_seconds=1e-5,
    published_seconds=5e-6,
    sanafe="2.2.9",
)


@pytest.fixture(scope="module")
def found() -> Found:
    """ADMM keeps 10 recordings more than the baseline under noise, on every fold; drop is even."""
    folds = range(3)
    return Found(
        {
            "hard-forward": {
                Match(f, 0): record("hard-forward", f, 180, 40.0, None) for f in folds
            },
            "admm": {Match(f, 0): record("admm", f, 190 + f, 80.0, 10**13) for f in folds},
        },
        {
            "hard-forward": {
                Match(f, 0): entry(f, 180, (90.0, 18.0 + f), 100.0, 90.0) for f in folds
            },
            "admm": {Match(f, 0): entry(f, 190, (90.0, 19.0), 110.0 + f, 95.0) for f in folds},
        },
        SUITE,
        SUITE_RUN,
        LATENCY,
        ENERGY,
    )


def test_retained_is_the_mean_over_severities_and_then_over_rows(found: Found) -> None:
    first = retained(found, "hard-forward", "events")[Match(0, 0)]
    assert first == pytest.approx(100 * ((90 + 18) / 2 / 180 + 100 / 180) / 2)
    assert retained(found, "admm", "faults")[Match(1, 0)] == pytest.approx(50.0)


def test_what_is_retained_is_held_against_the_baseline(found: Found) -> None:
    head, hard, admm = retained_table(found)
    assert len(head) == len(hard) == len(admm)
    assert hard[1:] == ("90.0 ± 0.0", "42.9 ± 0.1", "50.0 ± 0.0", "", "")
    assert admm[-1] == "+0.0 (95% +0.0 to +0.0)"


def test_the_best_is_ranked_and_its_lead_has_an_interval(found: Found) -> None:
    assert ranking(found, "events", "noise") == ["admm", "hard-forward"]
    ahead = lead(found, "events", "noise")
    assert ahead is not None
    assert ahead.mean == pytest.approx(5.5)
    assert ahead.low > 0
    even = lead(found, "events", "drop")
    assert even is not None
    assert even.low <= 0
    table = matrix(found, "events")
    assert [row[0] for row in table] == ["corruption of the recordings", "drop", "noise"]
    assert [cell.startswith("**") for cell in table[2]] == [False, False, True, False]


def test_differences_are_bold_where_zero_is_outside(found: Found) -> None:
    head, drop, noise = against_baseline(found, "events")
    assert head == ("corruption of the recordings", ARMS["admm"].title)
    assert noise[1] == "**+5.5 (95% +4.3 to +6.7)**"
    assert not drop[1].startswith("**")


def test_costs_that_nothing_counted_are_said_to_be(found: Found) -> None:
    head, hard, admm = cost_table(found)
    by_name = [dict(zip(head, row, strict=True)) for row in (hard, admm)]
    assert [row["TFLOP"] for row in by_name] == ["no counter", "10.0 ± 0.0"]
    assert [row["points a second"] for row in by_name] == ["2.00 ± 0.00", "1.07 ± 0.01"]
    assert by_name[0]["points a joule"] == "no counter"


def test_the_headline_has_every_figure(found: Found) -> None:
    figures = headline(found)
    assert figures["suite_seconds"] == 123.4
    assert (figures["ort_over_floor"], figures["ort_over_torch_eager"]) == (2.0, 6.0)
    assert (figures["energy_sanafe_joules"], figures["energy_constants_joules"]) == (10e-6, 8e-6)
    assert figures["mean_retained"]["admm"]["faults"] == {"mean": 0.5, "sd": 0.0, "n": 3}
    assert figures["points_gained_a_second"]["hard-forward"]["mean"] == 2.0


def test_the_page_says_what_the_figures_say(found: Found) -> None:
    text = page(found, headline(found))
    said = "\n".join(conclusions(found))
    assert "ADMM: noise +5.5 (95% +4.3 to +6.7)" in said
    assert "no lead is shown under drop" in said
    assert f"Against {ARMS[BASELINE].title}, in points" in text
    assert "at most 1.5 was asked: missed" in text
    assert all(part.strip() for part in text.split("\n\n"))


def test_tables_of_the_quickstart_network(found: Found) -> None:
    assert any("ten corruptions" in row[0] and "met" in row[1] for row in suite_table(found))
    assert latency_table(found)[-1] == (
        "torch, all steps' synapses as one product, over the network",
        "1.60×",
        "–",
    )
    rows: dict[str, Any] = {name: rest for name, *rest in energy_table(found)}
    assert rows["energy an inference"] == ["10 ± 1 µJ", "8 ± 0.5 µJ", "1.25"]
    assert rows["network on chip"] == ["1 µJ", "not priced", ""]


def test_nothing_on_record_is_a_page_that_says_so() -> None:
    nothing = Found({}, {}, SUITE)
    text = page(nothing, headline(nothing))
    assert "Not run yet." in text
    assert "not measured" in text
    assert pictures(nothing) == {}
