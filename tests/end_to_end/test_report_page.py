"""The report's page of a real run, what lies beside it, and the page of a comparison."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from export.files import sha256, write_json
from tests.end_to_end.conftest import Command, in_process
from tests.pipeline.report_page import sample
from tests.pipeline.report_page.browser import browsing, chromium
from tests.pipeline.report_page.test_page import Page, resolve


@pytest.fixture
def run(smoke_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke_run, tmp_path / "smoke"))


def read(run: Path) -> tuple[dict[str, Any], Page]:
    report = json.loads((run / "report" / "report.json").read_text())
    return report, Page((run / "report" / "report.html").read_bytes())


def test_the_page_has_the_figures_of_report_json(smoke_run: Path) -> None:
    report, page = read(smoke_run)
    assert len(page.values) > 100
    for key, value in page.values:
        assert json.loads(value) == resolve(report, key), key
    assert {f"/targets/{name}/spike_agreement" for name in report["targets"]} <= set(page.texts)
    names = ("ladder", "confusion", "raster-reference", "raster-loihi", "history-0")
    assert {f"figure-{name}" for name in names} <= page.ids
    assert report["verdict"]["paired"]
    text = (smoke_run / "report" / "report.md").read_text()
    assert report["verdict"]["sentence"] in text


def test_what_is_measured_beside_the_stages_comes_in_once_it_is_there(run: Path) -> None:
    deployed = sha256(run / "deploy" / "model.net")
    write_json(run / "robustness" / "robustness.json", sample.robustness(deployed))
    write_json(run / "energy" / "energy.json", sample.energy("0" * 64))
    before = (run / "report" / "report.html").read_bytes()
    done = in_process("report", run)
    assert done.returncode == 0, done.stderr
    assert "due again: inputs changed" in done.stderr
    report, page = read(run)
    assert report["robustness"]["network_sha256"] == deployed
    assert "figure-robustness-0" in page.ids
    assert (report["energy"], report["outdated"]) == (None, ["energy"])
    text = (run / "report" / "report.html").read_text()
    assert "energy was measured on another network" in text
    assert "up to date" in in_process("report", run).stderr
    for name in ("robustness", "energy"):
        shutil.rmtree(run / name)
    assert in_process("report", run).returncode == 0
    assert (run / "report" / "report.html").read_bytes() == before


def test_a_measurement_that_cannot_be_read_is_one_line_a_fault(run: Path) -> None:
    tree = sample.robustness(sha256(run / "deploy" / "model.net"))
    del tree["clean"]["n"]
    write_json(run / "robustness" / "robustness.json", tree)
    done = in_process("report", run)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "robustness.json: clean.n: Field required" in last


def test_the_page_opens_in_the_users_browser(
    command: Command, smoke_run: Path, tmp_path: Path
) -> None:
    opened, script = tmp_path / "opened", tmp_path / "browser.sh"
    script.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    script.chmod(0o755)
    done = command("report", smoke_run, "--open", BROWSER=f"{script} %s")
    assert done.returncode == 0, done.stderr
    assert opened.read_text().strip() == (smoke_run / "report" / "report.html").as_uri()
    failing = tmp_path / "none.sh"
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    paths = {"BROWSER": f"{failing} %s", "PATH": os.defpath, "DISPLAY": ""}
    done = command("report", smoke_run, "--open", **paths)
    assert done.returncode == 0, done.stderr


def test_runs_are_compared_on_a_page(run: Path, smoke_run: Path, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    page, picture = tmp_path / "pages" / "compare.html", tmp_path / "pages" / "compare.png"
    words = ("compare", smoke_run, run, "--html", page, "--out", picture)
    done = in_process(*words)
    assert done.returncode == 0, done.stderr
    found, report = Page(page.read_bytes()), read(run)[0]
    assert {"figure-cost-0", "figure-cost-1", "figure-ladder-0", "figure-ladder-1"} <= found.ids
    for key, value in found.values:
        assert json.loads(value) == resolve([report, report], key), key
    text = page.read_text()
    assert text.count(report["verdict"]["sentence"].replace("'", "&#39;")) == 2
    before = page.read_bytes()
    assert in_process(*words).returncode == 0
    assert page.read_bytes() == before


@pytest.mark.skipif(chromium() is None, reason="there is no Chromium here")
def test_the_chosen_run_of_a_comparison_is_shown(
    run: Path, smoke_run: Path, tmp_path: Path
) -> None:
    page = tmp_path / "compare.html"
    words = ("compare", smoke_run, run, "--html", page, "--out", tmp_path / "compare.png")
    assert in_process(*words).returncode == 0
    program = chromium()
    assert program is not None
    with browsing(program, tmp_path / "profile") as browser:
        browser.open(page, 390)
        height = "document.getElementById('figure-ladder-{}').getBoundingClientRect().height"
        assert browser.run(height.format(0)) > 40
        assert browser.run(height.format(1)) == 0
        browser.run(
            "(() => { const s = document.getElementById('choose-run'); s.selectedIndex = 1;"
            "s.dispatchEvent(new Event('change')); })()"
        )
        assert browser.run(height.format(0)) == 0
        assert browser.run(height.format(1)) > 40
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.faults == []
