"""Commands that install membrane, one of its extras or what it lacks, in the way in which it was installed.

On the package index `membrane` is another project: the distribution is `membrane-snn`, the module in it `membrane`.
"""

import json
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "membrane-snn"
CLONE = Path(__file__).parents[3]
"""The folder of the clone that this is a file of, if it is one's."""


def install_command(extra: str | None = None) -> str:
    """Return the command that installs membrane once more, with an extra, in the way it was installed."""
    extras = "" if extra is None else f"[{extra}]"
    origin = installed_from()
    if is_clone(CLONE):
        editable = "--editable " if origin.get("dir_info", {}).get("editable") else ""
        return f"pip install {editable}{shlex.quote(f'{folder_name(CLONE)}{extras}')}"
    url = origin.get("url", "")
    if vcs := origin.get("vcs_info", {}).get("vcs"):
        return f"pip install {shlex.quote(f'{DISTRIBUTION}{extras} @ {vcs}+{url}')}"
    if url.startswith("file:") and "dir_info" in origin:
        return f"pip install {shlex.quote(f'{folder_name(Path(unquote(urlsplit(url).path)))}{extras}')}"
    return f"pip install {shlex.quote(f'{DISTRIBUTION}{extras} @ {url}' if url else f'{DISTRIBUTION}{extras}')}"


def setup_command() -> str:
    """Return the command that installs the versions that membrane needs: `make setup` in a clone."""
    return "make setup" if is_clone(CLONE) else install_command()


def is_clone(folder: Path) -> bool:
    """Return whether a folder has membrane's sources and what sets it up."""
    return (folder / "Makefile").is_file() and (folder / "src" / "membrane").is_dir()


def installed_from() -> dict[str, Any]:
    """Return what pip noted of where it installed membrane from; nothing if that was an index, or not pip."""
    try:
        files = metadata.distribution(DISTRIBUTION).files or []
        noted = next(Path(str(file.locate())) for file in files if file.name == "direct_url.json")
        content = json.loads(noted.read_text(encoding="utf-8"))
    except (metadata.PackageNotFoundError, StopIteration, OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def folder_name(folder: Path) -> str:
    """Return ``.`` for the working folder, else the path."""
    return "." if folder == Path.cwd() else str(folder)
