"""The folders that runs leave in the working directory, for tests."""

from pathlib import Path


def only(pattern: str) -> Path:
    """Return the one path below runs/ that matches the pattern."""
    paths = sorted(Path("runs").glob(pattern))
    assert len(paths) == 1, paths
    return paths[0]
