"""The page holds the report's numbers and no other, escapes what is foreign, loads nothing."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.report_page.numbers import FORMS, pointer
from pipeline.report_page.page import report_page
from tests.pipeline.report_page import sample

HOSTILE = '<script>alert("x")</script>&\'"'


class Page(HTMLParser):
    """Values with their keys, and ids and tags, of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.values: list[tuple[str, str]] = []
        self.texts: dict[str, str] = {}
        self.ids: set[str] = set()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: str | None = None
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids |= {found["id"] or ""} if "id" in found else set()
        if key := found.get("data-key"):
            self.values.append((key, found.get("value") or found.get("data-value") or ""))
            self._open = key if tag == "data" else None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] = data
            self._open = None


def resolve(tree: Any, key: str) -> Any:
    """Return what a JSON pointer points at, after RFC 6901."""
    for part in key.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        tree = tree[int(name)] if isinstance(tree, list) else tree[name]
    return tree


def full() -> dict[str, Any]:
    measured = {
        "robustness": sample.robustness(),
        "latency": sample.latency(),
        "energy": sample.energy(),
    }
    return sample.report(**measured)


def test_every_number_on_the_page_is_the_reports() -> None:
    tree = full()
    page = Page(report_page(sample.sources(tree)))
    assert len(page.values) > 100
    saved = json.loads(json.dumps(tree))
    for key, value in page.values:
        assert json.loads(value) == resolve(saved, key), key
    shown = {key for key, _ in page.values}
    for key in (
        "/targets/onnxruntime/spike_agreement",
        "/ladder/0/accuracy",
        "/training/gradient_evaluations",
        "/layers/1/weights",
        "/confusion/1/0",
        "/artifacts/0/bytes",
        "/verdict/lost",
        "/robustness/faults/0/cells/0/accuracy",
        "/latency/results/1/times/network/p99_ms",
        "/energy/simulated/joules/synapse/mean",
    ):
        assert key in shown
    assert page.texts["/targets/reference/accuracy"] == "96.0%"
    assert page.texts["/training/gradient_evaluations"] == "3,520"
    assert page.texts["/synops_per_sample"] == "237,946"


def test_every_figure_is_there_and_only_where_there_is_data() -> None:
    always = {"ladder", "raster-reference", "raster-loihi", "confusion", "history-0", "corruptions"}
    more = {
        "heat",
        "robustness-0",
        "robustness-2",
        "latency-0",
        "latency-1",
        "energy",
        "energy-time",
    }
    assert {f"figure-{name}" for name in always | more} <= Page(
        report_page(sample.sources(full()))
    ).ids
    bare = Page(report_page(sample.sources(sample.report(corruptions=[]))))
    assert {f"figure-{name}" for name in always - {"corruptions"}} <= bare.ids
    assert not {f"figure-{name}" for name in (*more, "corruptions")} & bare.ids


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert report_page(sample.sources(full())) == report_page(sample.sources(full()))


def test_the_page_loads_nothing_and_runs_only_its_own_script() -> None:
    text = report_page(sample.sources(full())).decode()
    outside = re.sub(r'xmlns="[^"]+"', "", text)
    assert not re.search(r"(?:src|href|action)=\"(?!#|data:,)", outside)
    assert "url(" not in text
    assert "@import" not in text
    page = Page(text.encode())
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert not [tag for tag, found in page.tags if "style" in found], "the policy forbids these"
    policy = next(found for tag, found in page.tags if found.get("http-equiv"))["content"] or ""
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inside is not None
        digest = hashlib.sha256(inside[1].encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_foreign_text_is_escaped() -> None:
    target = sample.target(status="failed", reason=HOSTILE, version=HOSTILE)
    tree = full() | {"name": HOSTILE, "targets": {"reference": sample.target(), HOSTILE: target}}
    tree["classes"] = [HOSTILE, "1"]
    tree["robustness"]["events"][0]["title"] = HOSTILE
    tree["robustness"]["events"][0]["cells"][0]["severity"] = HOSTILE
    tree["raster"] |= {"recording": HOSTILE}
    tree["config"] = {"name": HOSTILE, "convert": {"weight_bits": 8}}
    tree["ladder"][0]["step"] = HOSTILE
    page = report_page(sample.sources(tree))
    assert b"<script>alert" not in page
    assert len([tag for tag, _ in Page(page).tags if tag == "script"]) == 1


@pytest.mark.parametrize("key", ["a/b~c", "plain", "ключ"])
def test_a_pointer_is_read_back(key: str) -> None:
    assert resolve({key: [{"x": 3}]}, pointer([key, 0, "x"])) == 3


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("percent", 0.9641, "96.4%"),
        ("agreement", 1.0, "all"),
        ("agreement", 0.9999999, "99.9999%"),
        ("points", -0.0125, "−1.2"),
        ("points", -0.0001, "+0.0"),
        ("lost", 0.14, "14.0"),
        ("count", 1234567, "1,234,567"),
        ("significant", 0.012345, "0.0123"),
        ("significant", 12345.6, "12,346"),
        ("size", 81512, "81.5 kB"),
        ("size", 12, "12 B"),
        ("micro", 4.25e-6, "4.25"),
    ],
)
def test_numbers_are_written_so(form: str, value: float, text: str) -> None:
    assert FORMS[form](value) == text
