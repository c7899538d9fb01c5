"""Digests of files."""

import hashlib
from functools import partial
from pathlib import Path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex digits."""
    return file_digest(path, "sha256")


def file_digest(path: Path, algorithm: str) -> str:
    """Return the digest of a file's content, in hex digits; md5 only tells whether a download is whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.new, algorithm, usedforsecurity=False)).hexdigest()
