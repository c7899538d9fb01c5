"""What membrane does not run on: looked up at start from the installed packages' metadata, importing none of them."""

import re
from importlib import metadata

from membrane.errors import ConfigError

OLDEST = {"torch": (2, 11), "hydra-core": (1, 3)}
MALICIOUS = {"lightning": ("2.6.2", "2.6.3")}
"""Releases that were published by someone who had stolen the project's key."""


def check_versions() -> None:
    """ConfigError for a library that is too old, or that must not be run at all."""
    for name, releases in MALICIOUS.items():
        if metadata.version(name) in releases:
            bad = metadata.version(name)
            raise ConfigError(f"{name} {bad} is a malicious release: remove it, change your secrets, run `make setup`")
    for name, oldest in OLDEST.items():
        found = metadata.version(name)
        if tuple(map(int, re.findall(r"\d+", found)[:2])) < oldest:
            needed = ".".join(map(str, oldest))
            raise ConfigError(f"{name} {found} is older than supported: {needed} or newer is needed, run `make setup`")
