"""Refuse versions of libraries that membrane does not run on, by their metadata, without importing them."""

import re
from importlib import metadata

from membrane.config.installation import setup_command
from membrane.errors import ConfigError

OLDEST = {"torch": (2, 11), "hydra-core": (1, 3)}
MALICIOUS = {"lightning": ("2.6.2", "2.6.3")}
"""Releases that were published by someone who had stolen the project's key."""


def check_versions() -> None:
    """Raise ConfigError if a library is too old or a malicious release."""
    for name, releases in MALICIOUS.items():
        if metadata.version(name) in releases:
            bad = metadata.version(name)
            raise ConfigError(
                f"{name} {bad} is a malicious release: remove it, change your secrets, run `{setup_command()}`"
            )
    for name, oldest in OLDEST.items():
        installed = metadata.version(name)
        if tuple(map(int, re.findall(r"\d+", installed)[:2])) < oldest:
            needed = ".".join(map(str, oldest))
            raise ConfigError(
                f"{name} {installed} is older than supported: {needed} or newer is needed, run `{setup_command()}`"
            )
