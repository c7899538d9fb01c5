"""The server of `membrane report --watch`: one page, for this machine alone, that is made anew as runs go on."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"
PAUSE = 2.0
"""Seconds between two looks at the folders, at least."""
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class WatchedPage:
    """A page and the state of the runs that it shows; it is made anew where that state has changed.

    ``look`` returns the state as text, ``make`` the page that shows one.
    """

    def __init__(self, look: Callable[[], str], make: Callable[[str], str]) -> None:
        self.look, self.make = look, make
        self.lock = threading.Lock()
        self.looked = time.monotonic()
        self.state = look()
        self.text = make(self.state)

    def refresh(self) -> tuple[str, str]:
        """Return the state and the page, which are at most so old as a pause and the time that making it takes."""
        with self.lock:
            if time.monotonic() - self.looked >= PAUSE:
                state = self.look()
                if state != self.state:
                    self.text = self.make(state)
                    self.state = state
                self.looked = time.monotonic()
            return self.state, self.text


class PageServer(ThreadingHTTPServer):
    """Serves a page at ``/`` and its state at ``/state``, on the loopback address alone; port 0 is a free one."""

    daemon_threads = True

    def __init__(self, page: WatchedPage, port: int = 0) -> None:
        super().__init__((LOOPBACK, port), PageHandler)
        self.page = page

    @property
    def address(self) -> str:
        """Return the address that a person types."""
        return f"http://{LOOPBACK}:{self.server_port}/"


class PageHandler(BaseHTTPRequestHandler):
    """Answers GET of the page and its state, to who asks for this machine by its own name."""

    server: PageServer
    server_version, sys_version = "membrane", ""

    def do_GET(self) -> None:
        """Send the page, its state, or that there is nothing else here."""
        names = {f"{name}:{self.server.server_port}" for name in (LOOPBACK, "localhost")}
        if (
            self.headers.get("Host") not in names
        ):  # a stranger's name that leads here, by which a page could read this one
            self.send_error(HTTPStatus.FORBIDDEN)
        elif self.path == "/":
            self.send_text(self.server.page.refresh()[1], "text/html")
        elif self.path == "/state":
            self.send_text(self.server.page.refresh()[0], "text/plain")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def send_text(self, text: str, kind: str) -> None:
        """Send a text."""
        content = text.encode()
        self.send_response(HTTPStatus.OK)
        for name, value in {
            **HEADERS,
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": len(content),
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing: the terminal shows where the page is."""
