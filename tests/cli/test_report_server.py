"""The server of `membrane report --watch`: on loopback alone, for its own names, made anew when runs go on."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from reported_runs import finished, right_answers, study

from membrane.cli import report_server
from membrane.cli.report import runs_state
from membrane.cli.report_server import PageServer, WatchedPage


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


def test_the_state_changes_when_a_run_ends(tmp_path: Path) -> None:
    runs = study(tmp_path, 1)
    before = runs_state([runs])
    assert runs_state([runs]) == before
    finished(runs, "f0", 1, right_answers(0.6, 1))
    assert runs_state([runs]) != before
