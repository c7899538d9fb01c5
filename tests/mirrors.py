"""A server on this machine from which files are downloaded, well and badly."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CONTENT = bytes(range(256)) * 1024  # 256 KiB: several of the downloader's chunks
HALF = len(CONTENT) // 2


class Mirrors:
    """A server whose every path behaves in its own way; ``asked`` holds the requests' paths and headers.

    ``files`` holds what `good` sends of each path, CONTENT by default; `good` and `breaks` go on at a range.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.files: dict[str, bytes] = {}
        self.half_sent, self.over, self.sent = threading.Event(), threading.Event(), threading.Event()
        mirrors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirrors.asked.append((self.path, dict(self.headers)))
                getattr(mirrors, self.path.split("/")[1])(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def __getitem__(self, name: str) -> str:
        return f"http://{self.host}/{name}/"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.asked]

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def send(
        self, request: BaseHTTPRequestHandler, body: bytes, announced: int | None, begin: int | None = None
    ) -> None:
        request.send_response(200 if begin is None else 206)
        if announced is not None:
            request.send_header("Content-Length", str(announced))
        if begin is not None:
            whole = begin + (announced or len(body))
            request.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()

    def rest(self, request: BaseHTTPRequestHandler) -> tuple[int | None, bytes]:
        """Where the client wants to go on, and the content from there."""
        content = self.files.get(request.path, CONTENT)
        wanted = request.headers.get("Range")
        begin = None if wanted is None else int(wanted.removeprefix("bytes=").removesuffix("-"))
        return begin, content[begin or 0 :]

    def good(self, request: BaseHTTPRequestHandler) -> None:
        begin, rest = self.rest(request)
        if begin is not None and not rest:
            request.send_error(416)
        else:
            self.send(request, rest, len(rest), begin)

    def breaks(self, request: BaseHTTPRequestHandler) -> None:
        """Send 64 KiB and hang up, each time."""
        begin, rest = self.rest(request)
        self.send(request, rest[: 2**16], len(rest), begin)

    def elsewhere(self, request: BaseHTTPRequestHandler) -> None:
        """Send another range than was asked for."""
        begin, rest = self.rest(request)
        self.send(request, rest, len(rest), None if begin is None else begin + 1)

    def moved(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", request.path.replace("/moved/", "/good/"))
        request.end_headers()

    def inward(self, request: BaseHTTPRequestHandler) -> None:
        """Send to a file of the machine that asks."""
        request.send_response(302)
        request.send_header("Location", f"file://{__file__}")
        request.end_headers()

    def circle(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", request.path)
        request.end_headers()

    def slow(self, request: BaseHTTPRequestHandler) -> None:
        """Send half, and the rest after ``over``."""
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        request.wfile.write(CONTENT[:HALF])
        request.wfile.flush()
        self.half_sent.set()
        self.over.wait(15)
        request.wfile.write(CONTENT[HALF:])

    def absent(self, request: BaseHTTPRequestHandler) -> None:
        request.send_error(404)

    def wrong(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, b"<html>please log in</html>", 26)

    def broken(self, request: BaseHTTPRequestHandler) -> None:
        """Send half, from the beginning, whatever was asked for."""
        self.send(request, CONTENT[:HALF], len(CONTENT))

    def unannounced(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, CONTENT[:HALF], None)

    def huge(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, b"", 2**60)

    def silent(self, request: BaseHTTPRequestHandler) -> None:
        self.over.wait(15)  # then it hangs up, which is not a time-out

    def stalled(self, request: BaseHTTPRequestHandler) -> None:
        self.send(request, CONTENT[:HALF], len(CONTENT))
        self.half_sent.set()
        self.over.wait(15)


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    """Serve on the loopback interface, past any proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirrors = Mirrors()
    try:
        yield mirrors
    finally:
        mirrors.close()
