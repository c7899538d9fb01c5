"""Published files: used where they are, otherwise downloaded."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from membrane.errors import DataError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CHUNK = 1 << 16


def first_file(root: Path, candidates: Sequence[str]) -> Path | None:
    """Return the first of ``candidates``, paths relative to ``root``, that is a file."""
    return next((root / path for path in candidates if (root / path).is_file()), None)


def obtain(
    root: Path, candidates: Sequence[str], md5: str, mirrors: Sequence[str], advice: str, seconds: float = READ_SECONDS
) -> Path:
    """Return the first of ``candidates`` that is a file; if none is, download the one with ``md5`` to the first.

    A file that exists is not checked here, since its reader does so, and never overwritten. Raises DataError with
    ``advice`` (what to put where) if no mirror has the file.
    """
    path = first_file(root, candidates)
    if path is None:
        path = root / candidates[0]
        failures = download(path, md5, mirrors, seconds)
        if failures is not None:
            raise DataError(f"{path}: missing, and could not be downloaded ({failures}); {advice}")
    return path


def download(path: Path, md5: str, mirrors: Sequence[str], seconds: float = READ_SECONDS) -> str | None:
    """Download ``path.name`` from the first mirror that has it; return None, or each mirror's failure.

    ``seconds`` is the longest silence of a server, not the length of the download. The file gets its name only once
    its md5 is right. Until then it has a random name beside it, and an exception removes it.
    """
    import pooch

    downloader, failures = partial(http_download, seconds=seconds), []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{path.name}"
        try:
            pooch.retrieve(url, f"md5:{md5}", path.name, path.parent, downloader=downloader)
        except (OSError, ValueError) as error:
            failures.append(f"{urlsplit(url).netloc or mirror}: {describe_failure(error)}")
        else:
            return None
    return "; ".join(failures) or "no mirror is known"


def http_download(url: str, output: str, owner: object, seconds: float) -> None:
    """Download to ``output``, with a progress bar on a terminal; in pooch's terms a downloader."""
    from pooch import HTTPDownloader
    from tqdm import tqdm

    # No encodings: requests would decompress a .gz that a server declares as an encoding of its content.
    headers = {"Accept-Encoding": "identity"}
    timeout = (min(CONNECT_SECONDS, seconds), seconds)
    # pooch evaluates the bar as a bool before it knows the size; a bar without a total raises.
    with tqdm(total=1, desc=url.rpartition("/")[2], unit="B", unit_scale=True, disable=None) as bar:
        HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=timeout, headers=headers)(url, output, owner)
    Path(output).chmod(0o644)  # a temporary file can be read by its owner only; data sets are shared


def describe_failure(error: Exception) -> str:
    """Describe a failed download in a few words: an OSError of requests or of the disk, or else a wrong md5."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, exceptions.Timeout) or "timed out" in str(error):
        return "timed out"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "broke off"
    if isinstance(error, exceptions.ConnectionError):
        return f"no connection ({type(error).__name__})"
    if isinstance(error, exceptions.RequestException):
        return type(error).__name__
    if isinstance(error, OSError):
        return str(error.__cause__ or error)
    return "sent a file with another md5"


def read_verified(path: Path, md5: str | None) -> bytes:
    """Read a file. Raises DataError if it cannot be read, or has another md5 (None: not checked)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 is not None else None
    if actual != md5:
        raise damaged_file(path, f"md5 is {actual}, the original's is {md5} ({len(content)} bytes)")
    return content


def damaged_file(path: Path, why: str) -> DataError:
    """Build the error for a file that exists but is not the original."""
    return DataError(f"{path}: {why}; delete it, and the original is downloaded")
