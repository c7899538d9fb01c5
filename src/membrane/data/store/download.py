"""Downloads: from the first address that has the file, checked before use, and resumed after a break."""

import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from membrane.files import durable
from membrane.files.digest import file_digest, sha256

if TYPE_CHECKING:
    from requests import Response

CONNECT_SECONDS = 20.0
READ_SECONDS = 30.0
CHUNK = 1 << 16
ATTEMPTS = 10
"""Times that one address is asked for the rest after a break, as long as each time something comes."""
PAUSE = 0.2
"""Seconds between two looks at a file that another process downloads."""

log = logging.getLogger(__name__)


class Interrupted(OSError):
    """The connection broke off before the whole file had come."""


def download(path: Path, urls: Sequence[str], digest: str | None, seconds: float = READ_SECONDS) -> str | None:
    """Download a file from the first of ``urls`` that has it; return None, or what failed at each of them.

    ``digest`` is ``md5:…`` or ``sha256:…``; until it is right the file is called ``NAME.part``, and a later call goes
    on from there. Where it is None, that of the first download is kept in ``NAME.sha256``, and later ones must have it.
    ``seconds`` is the longest silence of a server, not the length of the download.
    """
    expected, failures = digest or kept_digest(path), []
    try:
        with created_folder(path.parent), part_file(path) as part:
            if part is None:
                return None
            for url in urls:
                try:
                    fetch(url, part, expected, seconds)
                except (OSError, ValueError) as error:
                    failures.append(f"{urlsplit(url).netloc or url}: {describe_failure(error)}")
                else:
                    finish_download(path, part, known=expected is not None)
                    return None
    except OSError as error:
        failures.append(describe_failure(error))
    return "; ".join(failures) or "no address is known"


@contextmanager
def created_folder(folder: Path) -> Iterator[None]:
    """Create a folder and those above it; remove at the end those of them in which nothing lies."""
    created = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for each in created:
            with suppress(OSError):
                each.rmdir()


@contextmanager
def part_file(path: Path) -> Iterator[IO[bytes] | None]:
    """Yield ``NAME.part``, locked and open for appending; None once another process has downloaded the file.

    It is removed at the end if it is empty.
    """
    part, waiting = path.with_name(f"{path.name}.part"), False
    while not path.is_file():
        with open(part, "ab", opener=open_no_link) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not waiting:
                    log.info("%s: waiting for another process that downloads it", path)
                waiting = True
                time.sleep(PAUSE)
                continue
            if not part.exists() or not os.path.samestat(os.fstat(file.fileno()), part.stat()):
                continue  # its holder has renamed or removed it since it was opened
            try:
                if path.is_file():
                    break
                yield file
                return
            finally:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
    yield None


def open_no_link(path: str, flags: int) -> int:
    """Open a file, but not what a symbolic link points to."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def fetch(url: str, part: IO[bytes], digest: str | None, seconds: float) -> None:
    """Fill the ``.part`` file from one address, going on from what is in it if the digest is known.

    Raises OSError if that fails, ValueError if the file has another digest.
    """
    for left in reversed(range(ATTEMPTS)):
        if digest is None:
            part.truncate(0)
        begin = size_of(part)
        try:
            receive(url, part, seconds)
        except Interrupted:
            if not left or digest is None or size_of(part) <= begin:
                raise
            continue
        algorithm, _, expected = (digest or "").partition(":")
        if digest is None or file_digest(Path(part.name), algorithm) == expected:
            return
        part.truncate(0)
        if not left or not begin:  # otherwise what was in it before may have been another file's
            raise ValueError(f"sent a file with another {algorithm}")


def receive(url: str, part: IO[bytes], seconds: float) -> None:
    """Append to the ``.part`` file what it lacks, with a progress bar on a terminal. Raises Interrupted after a break.

    A server that cannot go on sends all of it, which then replaces what was there.
    """
    import requests
    from tqdm import tqdm
    from urllib3.exceptions import HTTPError

    begin = size_of(part)
    # No encodings: a server may declare a .gz as an encoding of its content, and it would come unpacked.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={begin}-"} if begin else {})}
    limits = (min(CONNECT_SECONDS, seconds), seconds)
    with requests.get(url, headers=headers, timeout=limits, stream=True) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is lacking
        response.raise_for_status()
        require_encryption(url, response)
        if response.status_code != requests.codes.partial_content:
            part.truncate(begin := 0)
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            raise OSError("sent another part than was asked for")
        length = int(response.headers.get("Content-Length") or 0)
        require_room(Path(part.name), length)
        label, total = Path(part.name).stem, begin + length if length else None
        with tqdm(desc=label, total=total, initial=begin, unit="B", unit_scale=True, disable=None) as bar:
            try:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    part.write(chunk)
                    bar.update(len(chunk))
            except HTTPError as error:
                raise Interrupted("timed out" if "timed out" in str(error) else "broke off") from error
            finally:
                part.flush()


def size_of(part: IO[bytes]) -> int:
    """Return the size of an open file that was flushed."""
    return os.fstat(part.fileno()).st_size


def require_encryption(url: str, response: "Response") -> None:
    """Raise OSError if an address with encryption led to one without."""
    if url.startswith("https:") and any(not each.url.startswith("https:") for each in (*response.history, response)):
        raise OSError("led to an address without encryption")


def require_room(path: Path, length: int) -> None:
    """Raise OSError if so many bytes have no room on the disk."""
    if length > (free := shutil.disk_usage(path.parent).free):
        raise OSError(f"needs {length / 1e9:.1f} GB, {free / 1e9:.1f} GB are free in {path.parent}")


def finish_download(path: Path, part: IO[bytes], *, known: bool) -> None:
    """Give a whole ``.part`` file its name, and keep its digest if none was known."""
    os.fsync(part.fileno())
    if not known:
        digest, beside = sha256(Path(part.name)), kept_beside(path)
        durable.write_utf8(durable.in_real_folder(beside), f"{digest}  {path.name}\n")
        log.info(
            "%s: no digest is published; its sha256 is %s, kept in %s and checked from now on", path, digest, beside
        )
    Path(part.name).replace(path)
    durable.flush_folder(path.parent.resolve())


def kept_beside(path: Path) -> Path:
    """Return where the digest of a file's first download is kept, as `sha256sum -c` reads it."""
    return path.with_name(f"{path.name}.sha256")


def kept_digest(path: Path) -> str | None:
    """Return the digest of a file's first download, ``sha256:…``; None if none was kept."""
    try:
        line = kept_beside(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    word = re.match("[0-9a-f]{64}", line)
    return f"sha256:{word[0]}" if word else None


def describe_failure(error: Exception) -> str:
    """Describe a failed download in a few words: an OSError of requests or of the disk, or a wrong digest."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, exceptions.Timeout):
        return "timed out"
    if isinstance(error, exceptions.ConnectionError):
        return f"no connection ({type(error).__name__})"
    if isinstance(error, exceptions.RequestException):
        return type(error).__name__
    return str(error)
