"""Downloads: whole and right, or not there, and resumed after a break; from a server on this machine."""

import fcntl
import hashlib
import io
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest
from mirrors import CONTENT, HALF, Mirrors, served

from membrane.data.store import download as module
from membrane.data.store.download import CONNECT_SECONDS, download, kept_digest, require_encryption

MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "numbers.gz"
PART = f"{NAME}.part"


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    with served(monkeypatch) as mirrors:
        yield mirrors


def fetched(path: Path, mirrors: Mirrors, *names: str, digest: str | None = MD5, seconds: float = 30) -> str | None:
    """Download from the mirrors of these names."""
    return download(path, [f"{mirrors[name]}{path.name}" for name in names], digest, seconds)


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_file_is_downloaded_for_all_to_read(tmp_path: Path, mirrors: Mirrors) -> None:
    path = tmp_path / "new/ours" / NAME
    assert fetched(path, mirrors, "good") is None
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == [f"new/ours/{NAME}"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert mirrors.paths == [f"/good/{NAME}"]


@pytest.mark.parametrize(
    "bad", ["absent", "wrong", "broken", "unannounced", "silent", "stalled", "circle", "inward", "huge"]
)
def test_the_next_address_is_tried(tmp_path: Path, mirrors: Mirrors, bad: str) -> None:
    digest = MD5 if bad == "wrong" else f"sha256:{SHA256}"
    assert fetched(tmp_path / NAME, mirrors, bad, "good", digest=digest, seconds=1) is None
    assert mirrors.paths[0] == f"/{bad}/{NAME}"
    assert mirrors.paths[-1] == f"/good/{NAME}"
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("bad", "why", "left"),
    [
        ("absent", "HTTP 404", 0),
        ("wrong", "sent a file with another md5", 0),
        ("broken", "broke off", HALF),
        ("unannounced", "sent a file with another md5", 0),
        ("silent", "timed out", 0),
        ("stalled", "timed out", HALF),
        ("circle", "TooManyRedirects", 0),
        ("inward", "InvalidSchema", 0),
    ],
)
def test_a_failed_download_says_why_and_keeps_what_can_be_gone_on_with(
    tmp_path: Path, mirrors: Mirrors, bad: str, why: str, left: int
) -> None:
    assert fetched(tmp_path / NAME, mirrors, bad, seconds=0.5) == f"{mirrors.host}: {why}"
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == ({PART: left} if left else {})


def test_what_has_no_room_on_the_disk_is_not_begun(tmp_path: Path, mirrors: Mirrors) -> None:
    failure = fetched(tmp_path / NAME, mirrors, "huge")
    assert failure is not None
    assert failure.startswith(f"{mirrors.host}: needs 1152921504.6 GB, ")
    assert names(tmp_path) == []


def test_every_address_is_named_when_none_has_it(tmp_path: Path, mirrors: Mirrors) -> None:
    nobody = "127.0.0.1:9"  # discard, which needs rights to listen at
    urls = [f"http://{nobody}/{NAME}", f"{mirrors['absent']}{NAME}", "no address"]
    failures = download(tmp_path / NAME, urls, MD5)
    assert failures is not None
    assert failures.split("; ")[:2] == [f"{nobody}: no connection (ConnectionError)", f"{mirrors.host}: HTTP 404"]
    assert failures.split("; ")[2].startswith("no address: ")
    assert download(tmp_path / NAME, [], MD5) == "no address is known"


def test_a_failed_download_leaves_no_empty_folder(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / "data").mkdir()
    assert fetched(tmp_path / "data" / "wrong" / "set" / NAME, mirrors, "absent") is not None
    assert list((tmp_path / "data").iterdir()) == []
    assert fetched(tmp_path / "data" / "right" / "set" / NAME, mirrors, "good") is None
    assert names(tmp_path) == [f"data/right/set/{NAME}"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / "ours").touch()  # a file where the folder should be
    failure = fetched(tmp_path / "ours" / NAME, mirrors, "good")
    assert str(tmp_path / "ours") in str(failure)
    assert mirrors.asked == []


def test_a_link_in_the_place_of_the_part_is_not_written_through(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / PART).symlink_to(tmp_path / "precious")
    assert "symbolic links" in str(fetched(tmp_path / NAME, mirrors, "good"))
    assert (tmp_path / "precious").read_text() == "precious"


# Going on after a break


def test_a_connection_that_breaks_is_asked_for_the_rest(tmp_path: Path, mirrors: Mirrors) -> None:
    assert fetched(tmp_path / NAME, mirrors, "breaks") is None
    assert mirrors.ranges == [None, "bytes=65536-", "bytes=131072-", "bytes=196608-"]
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert names(tmp_path) == [NAME]


def test_a_connection_that_breaks_too_often_is_given_up(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    assert fetched(tmp_path / NAME, mirrors, "breaks") == f"{mirrors.host}: broke off"
    assert len(mirrors.asked) == 3
    assert (tmp_path / PART).stat().st_size == 3 * 2**16


def test_a_later_call_and_another_address_go_on_from_there(tmp_path: Path, mirrors: Mirrors) -> None:
    assert fetched(tmp_path / NAME, mirrors, "stalled", seconds=1) == f"{mirrors.host}: timed out"
    mirrors.asked.clear()
    assert fetched(tmp_path / NAME, mirrors, "absent", "good") is None
    assert mirrors.ranges == [f"bytes={HALF}-"] * 2
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("before", [b"another file's", CONTENT[: HALF - 1] + b"?", CONTENT + b"more"])
def test_what_does_not_belong_to_it_is_fetched_anew(tmp_path: Path, mirrors: Mirrors, before: bytes) -> None:
    (tmp_path / PART).write_bytes(before)
    assert fetched(tmp_path / NAME, mirrors, "good") is None
    assert mirrors.ranges == [f"bytes={len(before)}-", None]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_part_that_is_whole_gets_its_name(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / PART).write_bytes(CONTENT)
    assert fetched(tmp_path / NAME, mirrors, "good") is None
    assert mirrors.ranges == [f"bytes={len(CONTENT)}-"]  # answered with 416
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_server_that_cannot_go_on_sends_all_of_it(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / PART).write_bytes(CONTENT[:7])
    assert fetched(tmp_path / NAME, mirrors, "wrong", "unannounced") is not None
    assert not (tmp_path / PART).exists()
    (tmp_path / PART).write_bytes(CONTENT[:7])
    mirrors.over.set()
    assert fetched(tmp_path / NAME, mirrors, "slow") is None
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_range_that_nobody_asked_for_is_not_appended(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / PART).write_bytes(CONTENT[:HALF])
    assert fetched(tmp_path / NAME, mirrors, "elsewhere") == f"{mirrors.host}: sent another part than was asked for"
    assert (tmp_path / PART).read_bytes() == CONTENT[:HALF]


# Addresses that lead elsewhere


def test_a_redirect_is_followed_and_goes_on_too(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / PART).write_bytes(CONTENT[:HALF])
    assert fetched(tmp_path / NAME, mirrors, "moved") is None
    assert mirrors.paths == [f"/moved/{NAME}", f"/good/{NAME}"]
    assert mirrors.ranges == [f"bytes={HALF}-"] * 2
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_encryption_is_not_given_up_on_the_way() -> None:
    def answer(*urls: str) -> SimpleNamespace:
        return SimpleNamespace(url=urls[-1], history=[SimpleNamespace(url=url) for url in urls[:-1]])

    require_encryption("https://a", answer("https://a", "https://b"))
    require_encryption("http://a", answer("http://a", "http://b"))
    for urls in (("https://a", "http://b"), ("https://a", "http://b", "https://c")):
        with pytest.raises(OSError, match="without encryption"):
            require_encryption("https://a", answer(*urls))


# Digests that nobody published


def test_the_digest_of_a_first_download_is_told_and_kept(tmp_path: Path, mirrors: Mirrors, caplog) -> None:
    with caplog.at_level(logging.INFO):
        assert fetched(tmp_path / NAME, mirrors, "good", digest=None) is None
    assert f"sha256 is {SHA256}, kept in {tmp_path / NAME}.sha256" in caplog.text
    assert names(tmp_path) == [NAME, f"{NAME}.sha256"]
    assert (tmp_path / f"{NAME}.sha256").read_text() == f"{SHA256}  {NAME}\n"  # as sha256sum writes it
    assert kept_digest(tmp_path / NAME) == f"sha256:{SHA256}"


def test_a_later_download_must_have_it(tmp_path: Path, mirrors: Mirrors) -> None:
    assert fetched(tmp_path / NAME, mirrors, "good", digest=None) is None
    (tmp_path / NAME).unlink()
    mirrors.files[f"/good/{NAME}"] = b"changed"
    assert fetched(tmp_path / NAME, mirrors, "good", digest=None) == f"{mirrors.host}: sent a file with another sha256"
    assert names(tmp_path) == [f"{NAME}.sha256"]


def test_without_a_digest_nothing_is_pieced_together(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / PART).write_bytes(b"another file's")
    assert fetched(tmp_path / NAME, mirrors, "breaks", "good", digest=None) is None
    assert mirrors.ranges == [None, None]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_kept_digest_that_is_none_is_as_if_there_were_none(tmp_path: Path) -> None:
    assert kept_digest(tmp_path / NAME) is None
    for content in (b"", b"\xff", b"1234  numbers.gz"):
        (tmp_path / f"{NAME}.sha256").write_bytes(content)
        assert kept_digest(tmp_path / NAME) is None


# Several processes, and the end of one


def test_of_two_that_want_a_file_one_waits_for_the_other(tmp_path: Path, mirrors: Mirrors) -> None:
    ends: list[str | None] = []
    threads = [threading.Thread(target=lambda: ends.append(fetched(tmp_path / NAME, mirrors, "slow")))]
    threads[0].start()
    assert mirrors.half_sent.wait(60)
    threads.append(threading.Thread(target=lambda: ends.append(fetched(tmp_path / NAME, mirrors, "slow"))))
    threads[1].start()
    mirrors.over.set()
    for thread in threads:
        thread.join()
    assert ends == [None, None]
    assert mirrors.paths == [f"/slow/{NAME}"]
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_aborted_download_is_gone_on_with(tmp_path: Path, mirrors: Mirrors, end: signal.Signals) -> None:
    program = "import signal, sys; from pathlib import Path; from membrane.data.store.download import download\n"
    program += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a shell's background ignores
    program += "download(Path(sys.argv[1]), [sys.argv[2]], sys.argv[3])"
    import membrane

    source = str(Path(membrane.__file__).parents[1])
    command = [sys.executable, "-c", program, str(tmp_path / NAME), f"{mirrors['stalled']}{NAME}", MD5]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": source}, stderr=subprocess.DEVNULL) as process:
        assert mirrors.half_sent.wait(120)
        while not any(path.stat().st_size for path in tmp_path.iterdir()):  # until some of it lies on the disk
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(end)
    assert process.returncode != 0
    assert names(tmp_path) == [PART]
    begin = (tmp_path / PART).stat().st_size
    assert fetched(tmp_path / NAME, mirrors, "good") is None
    assert mirrors.ranges[-1] == f"bytes={begin}-"
    assert (tmp_path / NAME).read_bytes() == CONTENT


# What the server and the person see


def test_the_server_is_asked_not_to_encode_and_has_twenty_seconds_to_answer(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    get, limits = requests.get, []
    monkeypatch.setattr(requests, "get", lambda url, **how: limits.append(how["timeout"]) or get(url, **how))
    assert download(tmp_path / NAME, [f"{mirrors['good']}{NAME}"], MD5) is None
    assert mirrors.asked[0][1]["Accept-Encoding"] == "identity"
    assert limits == [(20, 30)]
    assert CONNECT_SECONDS == 20


def test_a_terminal_sees_a_progress_bar_and_a_log_does_not(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def __init__(self, terminal: bool) -> None:
            super().__init__()
            self.terminal = terminal

        def isatty(self) -> bool:
            return self.terminal

    seen = {}
    for terminal in (True, False):
        stream = Terminal(terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        fetched(tmp_path / str(terminal) / NAME, mirrors, "good")
        seen[terminal] = stream.getvalue()
    assert f"{NAME}: 100%" in seen[True]
    assert "262k/262k" in seen[True]
    assert seen[False] == ""


@pytest.mark.parametrize("renamed", [True, False])
def test_what_another_process_finished_meanwhile_is_not_asked_for(
    tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch, renamed: bool
) -> None:
    """The other one finishes between the opening of the part and its lock."""
    lock = fcntl.flock

    def late_lock(file: IO[bytes], how: int) -> None:
        if renamed:
            (tmp_path / PART).rename(tmp_path / NAME)
        else:
            (tmp_path / NAME).touch()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late_lock)
    assert fetched(tmp_path / NAME, mirrors, "good") is None
    assert mirrors.asked == []
    assert names(tmp_path) == [NAME]
