"""Which settings Weights & Biases follows, and where it may send the person's API key."""

import ipaddress
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from membrane.errors import ConfigError

if TYPE_CHECKING:
    from wandb import Settings
    from wandb.sdk.lib.settings_file import SettingsFiles

log = logging.getLogger(__name__)

WORKSPACE_FILES = ("wandb/settings", ".wandb/settings")
PUBLIC_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")
"""Hosts of the public service, the latter the default of wandb 0.31."""


@contextmanager
def without_workspace_settings() -> Iterator[None]:
    """Let wandb read no settings from the working folder inside the block; those of the person and environment count.

    The folder may be somebody else's, and could name the server that gets the API key; a line tells of its settings.
    wandb 0.31 has no switch for it: its function that reads both files is replaced.
    """
    from wandb import Settings
    from wandb.sdk.lib.settings_file import SettingsFiles

    def read_own_settings(self: "Settings") -> "SettingsFiles":
        system = Path(self.settings_system) if self.settings_system else None
        return SettingsFiles(global_settings=system, local_settings=Path(os.devnull))

    for name in WORKSPACE_FILES:
        if os.path.lexists(name):
            log.warning(
                "wandb: %s in this folder is not read, for it could send your API key elsewhere (`wandb sync` follows "
                "it); say logger.project=… logger.entity=…, or set WANDB_BASE_URL",
                name,
            )
    original = Settings.read_system_settings
    Settings.read_system_settings = read_own_settings  # type: ignore[method-assign]
    try:
        yield
    finally:
        Settings.read_system_settings = original  # type: ignore[method-assign]


def announce_server(url: str) -> None:
    """Log where the API key goes if that is not the public service. Raises ConfigError if it would go unencrypted."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    server = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    if parts.scheme != "https" and not is_loopback(host):
        raise ConfigError(f"{server} would get your API key unencrypted: let WANDB_BASE_URL begin with https")
    if host not in PUBLIC_HOSTS:
        log.info("wandb: your API key goes to %s", server)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
