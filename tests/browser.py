"""Chromium, driven over its debugging pipe: pages opened, keys pressed, scripts evaluated, screenshots taken."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
PATIENCE = 120.0
"""Seconds that an answer may take on a machine with much to do."""


class Browser:
    """A page of a headless Chromium: ``console`` holds its errors and warnings, ``requests`` what it asked for."""

    def __init__(self, reads: int, writes: int) -> None:
        self.reads, self.writes = reads, writes
        self.number = 0
        self.session: str | None = None
        self.rest = b""
        self.events: list[dict[str, Any]] = []
        self.console: list[str] = []
        self.requests: list[str] = []

    def attach(self) -> None:
        """Open a page and listen to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.note(answer)

    def receive(self) -> dict[str, Any]:
        """Return the next message."""
        limit = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.reads], [], [], max(limit - time.monotonic(), 0))
            assert ready, "Chromium does not answer"
            received = os.read(self.reads, 1 << 20)
            assert received, "Chromium has ended"
            self.rest += received
        message, _, self.rest = self.rest.partition(b"\0")
        return dict(json.loads(message))

    def note(self, event: dict[str, Any]) -> None:
        """Keep what a page logged, threw and asked for."""
        method, parameters = event.get("method"), event.get("params", {})
        self.events.append(event)
        if method == "Runtime.exceptionThrown":
            self.console.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.console.append(str(parameters["args"]))
        elif method == "Log.entryAdded":
            self.console.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def open(self, address: str) -> None:
        """Go to an address and wait until the page's own script is done."""
        self.call("Page.navigate", url=address)
        limit = time.monotonic() + PATIENCE
        while not self.ready():
            assert time.monotonic() < limit, self.console
            time.sleep(0.02)

    def ready(self) -> bool:
        """Return whether the page's own script is done."""
        return self.holds("document.documentElement?.dataset.ready === 'true'")

    def holds(self, condition: str) -> bool:
        """Return whether a condition holds in the page; not while it gives way to another."""
        try:
            return bool(self.evaluate(condition))
        except AssertionError:
            return False

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key that has a name, or type a letter."""
        code = KEYS.get(key, 0)
        text = "\r" if key == "Enter" else key if len(key) == 1 else None
        pressed = {"key": key, "windowsVirtualKeyCode": code} | ({"text": text} if text else {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def show_on(self, width: int, height: int, dark: bool = False) -> None:
        """Set the window's size and the colour scheme that the person prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def screenshot(self, file: Path) -> None:
        """Write a picture of the whole page."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start a headless Chromium with a profile of its own; skip the test where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium")
    to_it, from_it = os.pipe(), os.pipe()
    options = [
        "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        "--disable-gpu",
        "--no-first-run",
    ]
    options += ["--no-sandbox"] if os.geteuid() == 0 else []
    command = f'exec "$0" "$@" 3<&{to_it[0]} 4>&{from_it[1]}'
    process = subprocess.Popen(
        ["bash", "-c", command, program, *options, "about:blank"],
        pass_fds=(to_it[0], from_it[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_it[0])
    os.close(from_it[1])
    browser = Browser(from_it[0], to_it[1])
    try:
        browser.attach()
        yield browser
    finally:
        os.write(browser.writes, b'{"id": 0, "method": "Browser.close"}\0')
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to_it[1])
        os.close(from_it[0])
