"""The server of `membrane report --watch`: on loopback alone, for its own names, made anew when runs go on."""

import http.client
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium
from reported_runs import finished, right_answers, study

from membrane.cli import report_server
from membrane.cli.report import report_rows, runs_state
from membrane.cli.report_server import PageServer, WatchedPage
from membrane.report.html import render_page
from membrane.report.page_data import page_content


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PageServer]:
    """Return a server whose page counts how often it was made, of states that a list gives."""
    monkeypatch.setattr(report_server, "PAUSE", 0.0)
    states = iter(["a", "a", "a", "b", "b"])
    made: list[str] = []

    def make(state: str) -> str:
        made.append(state)
        return f"page {len(made)} of {state}"

    with PageServer(WatchedPage(lambda: next(states), make)) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def asked(server: PageServer, path: str, host: str | None = None) -> tuple[int, str, http.client.HTTPMessage]:
    """(status, text, headers) of an address of the server."""
    connection = http.client.HTTPConnection(report_server.LOOPBACK, server.server_port, timeout=60)
    connection.request("GET", path, headers={"Host": host or f"localhost:{server.server_port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def test_the_page_is_made_anew_only_when_the_state_changes(server: PageServer) -> None:
    assert [asked(server, path)[1] for path in ("/", "/state", "/", "/state")] == [
        "page 1 of a",
        "a",
        "page 2 of b",
        "b",
    ]


def test_only_the_machine_itself_may_ask_and_nothing_else_is_served(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert asked(server, "/", "evil.example:80")[0] == 403
    assert asked(server, "/../etc/passwd")[0] == 404
    status, _, headers = asked(server, "/")
    assert (status, headers["X-Frame-Options"], headers["Cache-Control"]) == (200, "DENY", "no-store")


def test_a_served_page_refreshes_itself_and_keeps_what_a_person_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_server, "PAUSE", 0.0)
    runs = study(tmp_path / "runs", 1)

    def make(state: str) -> str:
        rows, unread = report_rows([runs], {"neuron": "glif"}, False, waiting=True)
        return render_page(page_content(rows, (), unread, None), state)

    with (
        chromium(tmp_path / "profile") as browser,
        PageServer(WatchedPage(lambda: runs_state([runs]), make)) as served,
    ):
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        try:
            browser.open(served.address)
            browser.evaluate("document.querySelectorAll('#table thead button')[1].click()")
            assert "no finished run has it" in browser.evaluate("document.body.innerText")
            assert browser.evaluate("document.links.length") == len(("skip", "one seed", "one seed", "one seed"))
            finished(runs, "f3", 0, right_answers(0.8, 3), {"timesteps": 8})
            limit = time.monotonic() + 120
            while not (browser.holds("document.querySelectorAll('#table tbody tr').length === 4") and browser.ready()):
                assert time.monotonic() < limit
                time.sleep(0.05)
            assert browser.evaluate("document.querySelectorAll('#table th[aria-sort=descending]').length") == 1
            assert browser.console == []
        finally:
            served.shutdown()
            thread.join()


def test_the_state_changes_when_a_run_ends(tmp_path: Path) -> None:
    runs = study(tmp_path, 1)
    before = runs_state([runs])
    assert runs_state([runs]) == before
    finished(runs, "f0", 1, right_answers(0.6, 1))
    assert runs_state([runs]) != before
