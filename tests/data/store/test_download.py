"""Published files: found, or downloaded whole, or one line that says what to do; against a server on this machine."""

import hashlib
import io
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from membrane.data.store.download import download, first_file, obtain, read_verified
from membrane.errors import DataError

CONTENT = bytes(range(256)) * 1024  # 256 KiB: several of the downloader's chunks
MD5 = hashlib.md5(CONTENT).hexdigest()
NAME = "numbers.gz"
ADVICE = "put numbers.gz into the folder"
HALF = len(CONTENT) // 2


class Mirrors:
    """A server whose every path behaves in its own way; ``asked`` holds the requests' paths and headers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.half_sent, self.over = threading.Event(), threading.Event()
        self.both = threading.Barrier(2, timeout=120)
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirrors.asked.append((self.path, dict(self.headers)))
                getattr(mirrors, self.path.split("/")[1])(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def __getitem__(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}/"

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def send(self, request: BaseHTTPRequestHandler, body: bytes, announced: int | None) -> None:
        request.send_response(200)
        if announced is not None:
            request.send_header("Content-Length", str(announced))
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()

    def good(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, CONTENT, len(CONTENT))

    def together(self, request: BaseHTTPRequestHandler) -> None:
        self.both.wait()
        self.good(request)

    def absent(self, request: BaseHTTPRequestHandler) -> None:
        request.send_error(404)

    def wrong(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, b"<html>please log in</html>", 26)

    def broken(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, CONTENT[:HALF], len(CONTENT))

    def unannounced(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, CONTENT[:HALF], None)

    def silent(self, request: BaseHTTPRequestHandler) -> None:
        self.over.wait(15)  # then it hangs up, which is not a time-out

    def stalled(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, CONTENT[:HALF], len(CONTENT))
        self.half_sent.set()
        self.over.wait(15)


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    served = Mirrors()
    yield served
    served.close()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address where nothing listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_first_place_that_holds_the_file_wins(tmp_path: Path) -> None:
    places = ["ours/a", "theirs/a", "theirs/b"]
    (tmp_path / "ours/a").mkdir(parents=True)  # a folder is no file
    (tmp_path / "theirs").mkdir()
    assert first_file(tmp_path, places) is None
    (tmp_path / "theirs/b").touch()
    assert first_file(tmp_path, places) == tmp_path / "theirs/b"
    (tmp_path / "theirs/a").touch()
    assert first_file(tmp_path, places) == tmp_path / "theirs/a"


def test_a_missing_file_is_downloaded_into_the_first_place_for_all_to_read(tmp_path: Path, mirrors: Mirrors) -> None:
    path = obtain(tmp_path / "new", [f"ours/{NAME}", f"theirs/{NAME}"], MD5, [mirrors["good"]], ADVICE)
    assert path == tmp_path / "new/ours" / NAME
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == [f"new/ours/{NAME}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [asked for asked, _ in mirrors.asked] == [f"/good/{NAME}"]


def test_a_file_that_is_there_is_neither_asked_for_nor_overwritten(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    assert obtain(tmp_path, ["elsewhere", NAME], MD5, [mirrors["good"]], ADVICE) == tmp_path / NAME
    assert (tmp_path / NAME).read_bytes() == b"mine"
    assert mirrors.asked == []


@pytest.mark.parametrize("bad", ["absent", "wrong", "broken", "unannounced", "silent", "stalled"])
def test_the_next_mirror_is_tried(tmp_path: Path, mirrors: Mirrors, bad: str) -> None:
    assert download(tmp_path / NAME, MD5, [mirrors[bad], mirrors["good"]], seconds=1) is None
    assert [asked for asked, _ in mirrors.asked] == [f"/{bad}/{NAME}", f"/good/{NAME}"]
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("absent", "HTTP 404"),
        ("wrong", "sent a file with another md5"),
        ("broken", "broke off"),
        ("unannounced", "sent a file with another md5"),
        ("silent", "timed out"),
        ("stalled", "timed out"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_why(tmp_path: Path, mirrors: Mirrors, bad: str, why: str) -> None:
    message = refused(lambda: obtain(tmp_path, [f"ours/{NAME}"], MD5, [mirrors[bad]], ADVICE, seconds=1))
    host = f"127.0.0.1:{mirrors.server.server_port}"
    assert message == f"{tmp_path / 'ours' / NAME}: missing, and could not be downloaded ({host}: {why}); {ADVICE}"
    assert names(tmp_path) == []


def test_every_mirror_is_named_when_none_has_it(tmp_path: Path, mirrors: Mirrors, nobody: str) -> None:
    message = refused(lambda: obtain(tmp_path, [NAME], MD5, [nobody, mirrors["absent"], "no address"], ADVICE))
    served = mirrors.server.server_port
    assert f"({nobody[7:-1]}: no connection (ConnectionError); 127.0.0.1:{served}: HTTP 404; no address: " in message
    assert message.endswith(ADVICE)
    assert "no mirror is known" in refused(lambda: obtain(tmp_path, [NAME], MD5, [], ADVICE))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / "ours").touch()  # a file where the folder should be
    message = refused(lambda: obtain(tmp_path, [f"ours/{NAME}"], MD5, [mirrors["good"]], ADVICE))
    assert f"Not a directory: '{tmp_path / 'ours'}" in message
    assert message.endswith(f"); {ADVICE}")


def test_the_server_is_asked_not_to_encode(tmp_path: Path, mirrors: Mirrors) -> None:
    download(tmp_path / NAME, MD5, [mirrors["good"]])
    assert mirrors.asked[0][1]["Accept-Encoding"] == "identity"


def test_two_may_download_the_same_file_at_once(tmp_path: Path, mirrors: Mirrors) -> None:
    ends: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: ends.append(download(tmp_path / NAME, MD5, [mirrors["together"]])))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [None, None]
    assert len(mirrors.asked) == 2
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_aborted_download_is_never_taken_for_whole(tmp_path: Path, mirrors: Mirrors, end: signal.Signals) -> None:
    program = "import signal, sys; from pathlib import Path; from membrane.data.store.download import download\n"
    program += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a shell's background ignores
    program += "download(Path(sys.argv[1]), sys.argv[2], [sys.argv[3]])"
    import membrane

    source = str(Path(membrane.__file__).parents[1])
    command = [sys.executable, "-c", program, str(tmp_path / NAME), MD5, mirrors["stalled"]]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": source}, stderr=subprocess.DEVNULL) as process:
        assert mirrors.half_sent.wait(120)
        while not any(path.stat().st_size for path in tmp_path.iterdir()):  # until some of it lies on the disk
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(end)
    assert process.returncode != 0
    assert first_file(tmp_path, [NAME]) is None
    if end == signal.SIGINT:
        assert names(tmp_path) == []
    assert obtain(tmp_path, [NAME], MD5, [mirrors["good"]], ADVICE).read_bytes() == CONTENT


def test_a_terminal_sees_a_progress_bar_and_a_log_does_not(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def __init__(self, terminal: bool) -> None:
            super().__init__()
            self.terminal = terminal

        def isatty(self) -> bool:
            return self.terminal

    import pooch  # noqa: F401  pooch's own log takes the stderr of its first import

    seen = {}
    for terminal in (True, False):
        stream = Terminal(terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        download(tmp_path / str(terminal) / NAME, MD5, [mirrors["good"]])
        seen[terminal] = stream.getvalue()
    assert f"{NAME}: 100%" in seen[True]
    assert "262k/262k" in seen[True]
    assert seen[False] == ""


def test_bytes_are_verified(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    assert read_verified(path, MD5) == read_verified(path, None) == CONTENT
    path.write_bytes(CONTENT[:HALF])
    half = hashlib.md5(CONTENT[:HALF]).hexdigest()
    message = refused(lambda: read_verified(path, MD5))
    assert message.startswith(f"{path}: md5 is {half}, the original's is {MD5} ({HALF} bytes); delete it")
    assert refused(lambda: read_verified(tmp_path, None)) == f"{tmp_path}: cannot be read: Is a directory"
