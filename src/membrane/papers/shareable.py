"""A run's log and configuration without what tells of the machine that it ran on: folders, commands, host names."""

import re
import socket
from pathlib import Path

from membrane.runs.saved import read_config

RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+: )", re.MULTILINE)
"""The place before a record in run.log."""
OF_THE_MACHINE = re.compile(r"\S+ \S+ [A-Z]+ (membrane\.training\.results: |\S+: (folder|wandb): )")
"""The beginning of a record that says where the run lies, what may be typed next, or who is told of it."""
FOLDER = re.compile(r"""(?<![\w.~/…-])~?/([^\s/'":,;()<>\[\]]+/)+""")
"""The folder of an absolute path: neither a part of a relative one, of an address, nor `samples/s`."""


def shareable_log(text: str) -> str:
    """Return a run's log without records of the machine, and with the last part alone of each absolute path."""
    kept = "".join(record for record in RECORD.split(text) if not OF_THE_MACHINE.match(record))
    return re.sub(rf"\b{re.escape(socket.gethostname())}\b", "…", FOLDER.sub("…/", kept))


def shareable_config(run: Path) -> str:
    """Return a run's configuration as YAML, without the folders that it used. Raises DataError if there is none."""
    from omegaconf import OmegaConf

    config = read_config(run)
    config.pop("paths", None)
    return OmegaConf.to_yaml(config)
