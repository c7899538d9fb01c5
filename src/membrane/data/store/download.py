"""Published files: found where they are commonly kept, otherwise downloaded."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from membrane.errors import DataError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CHUNK = 1 << 16


def find(root: Path, places: Sequence[str]) -> Path | None:
    """The first of ``places``, paths relative to ``root``, that is a file."""
    return next((root / place for place in places if (root / place).is_file()), None)


def obtain(
    root: Path, places: Sequence[str], md5: str, mirrors: Sequence[str], advice: str, seconds: float = READ_SECONDS
) -> Path:
    """The file at the first of ``places`` where it is, or else downloaded to ``places[0]``, whose md5 is ``md5``.

    A file that is there is returned as it is: whoever reads it verifies it, and nothing of the person's is overwritten.
    DataError with ``advice`` (what to put where) where no mirror has it.
    """
    found = find(root, places)
    if found is None:
        found = root / places[0]
        failures = download(found, md5, mirrors, seconds)
        if failures is not None:
            raise DataError(f"{found}: missing, and could not be downloaded ({failures}); {advice}")
    return found


def download(path: Path, md5: str, mirrors: Sequence[str], seconds: float = READ_SECONDS) -> str | None:
    """Fetch ``path.name`` from the first mirror that has it whole; None, or why each mirror failed.

    ``seconds`` is the longest silence of a server, not the length of the download. The file appears under its name
    only after its md5 was found right: until then it has a random name beside it, which an exception removes.
    """
    import pooch

    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{path.name}"
        try:
            pooch.retrieve(url, f"md5:{md5}", path.name, path.parent, downloader=partial(fetch, seconds=seconds))
        except (OSError, ValueError) as error:
            failures.append(f"{urlsplit(url).netloc or mirror}: {failure(error)}")
        else:
            return None
    return "; ".join(failures) or "no mirror is known"


def fetch(url: str, output: str, owner: object, seconds: float) -> None:
    """Download to ``output``, under a progress bar where there is a terminal: what pooch calls a downloader."""
    from pooch import HTTPDownloader
    from tqdm import tqdm

    # Refused encodings: requests would unpack a .gz that a server sends as an encoding of its content.
    headers = {"Accept-Encoding": "identity"}
    timeout = (min(CONNECT_SECONDS, seconds), seconds)
    # pooch asks for the bar's truth before it knows the size; a bar without a total has none.
    with tqdm(total=1, desc=url.rpartition("/")[2], unit="B", unit_scale=True, disable=None) as bar:
        HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=timeout, headers=headers)(url, output, owner)
    Path(output).chmod(0o644)  # a temporary file is its owner's alone; data sets are shared


def failure(error: Exception) -> str:
    """What went wrong with a download, in a few words: the request (all of its errors are OSErrors), disk or md5."""
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


def verified(path: Path, md5: str | None) -> bytes:
    """All bytes of a file. DataError where it cannot be read or its md5 is another (None: not checked)."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 is not None else None
    if found != md5:
        raise damaged(path, f"md5 is {found}, the original's is {md5} ({len(content)} bytes)")
    return content


def damaged(path: Path, why: str) -> DataError:
    """The error for a file that is there but is not the original."""
    return DataError(f"{path}: {why}; delete it, and the original is downloaded")
