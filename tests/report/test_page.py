"""The page of a report in Chromium, from a file: drawn, sorted, filtered and walked through by keyboard."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, chromium
from reported_runs import PLIF, finished, right_answers, study
from run_folders import failed_run

from membrane.cli.report import report_command
from membrane.report.html import PAGE, script_json
from membrane.report.page_data import folder_link

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror='window.hit=1'>&lt;b&gt;\"';{{7*7}}\x1b[31m"
HEALTH = "epoch,step,silent/neuron1,silent/neuron2,gradient/head\n0,10,0.1,0.2,1.5\n1,20,0.05,0.1,0.9\n"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a Chromium for all tests of this file."""
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return the page of a study with a run that failed, whose words are hostile."""
    runs = study(tmp_path / "runs")
    groups = {"recording": np.arange(200) // 4, "classes": np.array([HOSTILE, *"bcdefghij"])}
    own = {"neuron": {"_target_": f"theirs.{HOSTILE}"}, "loss": HOSTILE}
    hostile = finished(runs, "f9", 0, right_answers(0.5, 9), own, {"name": HOSTILE, "ended": HOSTILE}, arrays=groups)
    (hostile / "health.csv").write_text(HEALTH)
    failed_run(runs / "study" / "f1" / "seed7", error=HOSTILE, traceback=f"RuntimeError: {HOSTILE}")
    file = tmp_path / "out" / "report.html"
    assert report_command([str(runs), "--baseline", "neuron=lif", "--html", str(file)]) == 0
    return file


def text_of(browser: Browser, selector: str) -> str:
    """The text that a person sees of an element."""
    return str(browser.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))


def first_cells(browser: Browser) -> list[str]:
    """The neurons of the rows that are shown, from top to bottom."""
    script = "[...document.querySelectorAll('#table tbody tr')].filter(r => !r.hidden).map(r => r.cells[1].innerText)"
    return list(browser.evaluate(script))


def test_the_page_is_drawn_without_a_request_or_an_error(browser: Browser, page: Path) -> None:
    for width, dark in ((1280, False), (1280, True), (390, False)):
        browser.show_on(width, 900, dark)
        browser.requests.clear()
        browser.open(page.as_uri())
        assert (browser.console, browser.requests) == ([], [page.as_uri()])
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
        assert browser.evaluate("innerWidth") == width
        assert browser.evaluate("document.querySelectorAll('#curves canvas').length") == 2
        for section in ("curves", "confusions", "classes", "clusters", "settings", "health"):
            assert not browser.evaluate(f"document.getElementById('{section}').hidden"), section
    assert "neuron=relu has the best mean test accuracy" in text_of(browser, ".answer")
    assert browser.evaluate("document.querySelectorAll('.scatter circle').length") == 4


def test_hostile_words_are_text(browser: Browser, page: Path) -> None:
    browser.show_on(1280, 900)
    browser.open(page.as_uri())
    assert browser.evaluate("window.hit") is None
    assert browser.evaluate("document.scripts.length") == 3
    assert browser.evaluate("document.images.length") == 0
    body = browser.evaluate("document.body.textContent")
    assert body.count("<script>window.hit=1</script>") >= 5
    assert "{{7*7}}" in body
    assert browser.evaluate("document.querySelector('details pre').textContent.includes('onerror')")
    # what a page could be made to run by markup that got through anyway, the policy refuses
    browser.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit=2\">')")
    assert browser.evaluate("new Promise(done => setTimeout(() => done(window.hit === undefined), 100))")
    browser.console.clear()


def test_sorting_and_filtering_by_mouse(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    before = first_cells(browser)
    click = "document.querySelectorAll('#table thead button')[1].click()"
    browser.evaluate(click)
    assert first_cells(browser)[0] == "relu"
    assert browser.evaluate("document.querySelectorAll('#table th[aria-sort=descending]').length") == 1
    browser.evaluate(click)
    assert first_cells(browser)[-1] == "relu"
    browser.evaluate("document.querySelectorAll('#table thead button')[0].click()")
    assert [each for each in first_cells(browser) if len(each) < 9] == ["lif", "plif", "relu"]
    assert sorted(first_cells(browser)) == sorted(before)
    typed = "const f = document.getElementById('filter'); f.value = 'plif'; f.dispatchEvent(new Event('input'))"
    browser.evaluate(f"(() => {{ {typed} }})()")
    assert first_cells(browser) == ["plif"]
    assert text_of(browser, "#matches") == "1 of 4 rows"


def test_everything_is_reached_by_keyboard(browser: Browser, page: Path) -> None:
    browser.show_on(1280, 900)
    browser.open(page.as_uri())
    seen = []
    for _ in range(60):
        browser.press("Tab")
        focused = "(e => e.id || (e.closest('th') ? 'sort ' : '') + e.tagName + ' ' + (e.ariaLabel ?? e.innerText))"
        seen.append(browser.evaluate(f"{focused}(document.activeElement)"))
        if seen[-1] == "filter":
            for letter in "relu":
                browser.press(letter)
            assert first_cells(browser) == ["relu"]
            browser.press("Escape")
            assert len(first_cells(browser)) == 4
        if seen[-1].startswith("sort BUTTON test/acc"):
            browser.press("Enter")
            assert first_cells(browser)[0] == "relu"
        if seen[-1] == "INPUT draw neuron=relu":
            drawn = browser.evaluate("document.querySelectorAll('#curves .key li').length")
            browser.press(" ")
            assert browser.evaluate("document.querySelectorAll('#curves .key li').length") == drawn - 1
        if seen[-1] == "BODY undefined" or seen.count(seen[0]) > 1:
            break
    names = " | ".join(map(str, seen))
    for each in (
        "To the table",
        "filter",
        "sort BUTTON verdict",
        "folder of seed 2",
        "part",
        "all-settings",
        "traceback",
    ):
        assert each in names, names


def test_health_and_the_training_part_are_drawn(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    assert browser.evaluate("document.querySelectorAll('#health canvas').length") == 2
    change = "const p = document.getElementById('part'); p.value = 'train'; p.dispatchEvent(new Event('change'))"
    browser.evaluate(f"(() => {{ {change} }})()")
    assert "train/acc" in text_of(browser, "#curves")
    assert browser.console == []


def test_the_page_says_what_was_compared_without_its_script(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    cells = re.findall(r'data-value="([\d.]+)">\d\d\.\d\d ± ', text)
    assert float(cells[-1]) == pytest.approx(np.mean([right_answers(0.9, 20 + seed).mean() for seed in range(3)]))
    assert "Hardest test samples" in text
    assert not re.search(r"(src|href)=\"(?!\./|#)", text), "nothing comes from elsewhere"
    assert 'href="./../runs/study/f0/seed1/"' in text or "./../runs/study/f0/seed1/" in text


def test_links_are_relative_and_never_a_scheme(tmp_path: Path) -> None:
    assert folder_link(tmp_path / "javascript:alert(1)" / 'a"b', tmp_path) == "./javascript%3Aalert%281%29/a%22b/"
    assert folder_link(tmp_path, None) is None


def test_json_cannot_end_its_element() -> None:
    value = {"a": HOSTILE + "<!--"}
    assert "<" not in script_json(value)
    assert json.loads(script_json(value)) == value


def test_the_vendored_files_are_those_that_were_published() -> None:
    listed = re.findall(r"`(\S+)` \| ([0-9a-f]{64})", (PAGE / "README.md").read_text())
    assert len(listed) == 2
    for name, digest in listed:
        assert hashlib.sha256((PAGE / name).read_bytes()).hexdigest() == digest


def test_a_page_of_500_runs_is_small_and_soon_there(browser: Browser, tmp_path: Path) -> None:
    for number in range(100):
        changes = {"timesteps": 1 + number, **PLIF} if number % 2 else {"timesteps": 1 + number}
        for seed in range(5):
            finished(tmp_path / "runs", f"f{number}", seed, right_answers(0.5, 5 * number + seed), changes)
    file = tmp_path / "report.html"
    assert report_command([str(tmp_path / "runs"), "--html", str(file)]) == 0
    assert file.stat().st_size < 3e6
    browser.open(file.as_uri())
    assert len(first_cells(browser)) == 100
    assert browser.console == []
