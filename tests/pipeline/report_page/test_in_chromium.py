"""The page in a real browser: no complaint, every figure seen, and what is chosen changes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.report_page.page import report_page
from tests.pipeline.report_page import sample
from tests.pipeline.report_page.browser import Browser, browsing, chromium
from tests.pipeline.report_page.test_page import full

PROGRAM = chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")
PHONE, DESK = 390, 1280
_WIDE = "document.documentElement.scrollWidth <= {}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert PROGRAM is not None
    with browsing(PROGRAM, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_bytes(report_page(sample.sources(full())))
    return file


def drawn(browser: Browser, name: str) -> bool:
    """Whether a figure takes room on the page."""
    box = f"document.getElementById('figure-{name}').getBoundingClientRect()"
    return bool(browser.run(f"{box}.width > 100 && {box}.height > 40"))


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_without_a_complaint(
    browser: Browser, page: Path, width: int, scheme: str
) -> None:
    browser.open(page, width, scheme)
    for name in (
        *("ladder", "corruptions", "heat", "robustness-0", "latency-0", "energy", "energy-time"),
        *("history-0", "raster-reference", "raster-loihi", "confusion"),
    ):
        assert drawn(browser, name), name
    assert browser.run(_WIDE.format(width)), "wider than the window"
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(251, 251, 249)" if scheme == "light" else "rgb(18, 23, 28)")
    assert browser.faults == []


def test_what_is_chosen_is_shown_and_the_rest_is_not(browser: Browser, page: Path) -> None:
    browser.open(page, DESK)
    assert drawn(browser, "robustness-0")
    assert not drawn(browser, "robustness-2")
    browser.run("document.querySelectorAll('[data-chooses=robustness]')[2].click()")
    assert not drawn(browser, "robustness-0")
    assert drawn(browser, "robustness-2")
    assert browser.run("document.getElementById('choose-robustness').selectedIndex") == 2
    browser.run(
        "(() => { const s = document.getElementById('choose-latency'); s.selectedIndex = 1;"
        "s.dispatchEvent(new Event('change')); })()"
    )
    assert not drawn(browser, "latency-0")
    assert drawn(browser, "latency-1")
    assert browser.faults == []


def test_marks_say_their_figure_to_pointer_and_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page, DESK)
    browser.run("document.querySelector('#figure-ladder svg').scrollIntoView({block: 'center'})")
    browser.settle()
    x, y = browser.run(
        "(() => { const b = document.querySelector('#figure-ladder .dot').getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    tip = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"
    assert browser.run(tip).startswith("smooth: 96.5%, 95% interval")
    browser.run("document.querySelector('#figure-ladder svg').focus()")
    for _ in range(2):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight")
    assert browser.run(tip).startswith("hard float: 96.3%")
    assert browser.faults == []


def test_the_theme_can_be_switched(browser: Browser, page: Path) -> None:
    browser.open(page, DESK)
    background = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(background)
    browser.run("for (let i = 0; i < 2; i++) document.getElementById('theme').click()")
    assert browser.run("document.documentElement.dataset.theme") == "dark"
    assert browser.run(background) != light
    assert browser.faults == []


def test_on_paper_every_choice_is_printed_and_no_control(browser: Browser, page: Path) -> None:
    browser.open(page, DESK)
    browser.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert drawn(browser, "robustness-2")
    assert not browser.run("document.querySelector('.top').getBoundingClientRect().height")
    browser.call("Emulation.setEmulatedMedia", media="", features=[])
