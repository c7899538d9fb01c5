"""A run's log, configuration and provenance without what tells of its machine: folders, commands, host names."""

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from membrane.runs.saved import read_config

RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+: )", re.MULTILINE)
"""The place before a record in run.log."""
RECORD_OF_THE_MACHINE = re.compile(r"\S+ \S+ [A-Z]+ (membrane\.training\.results: |\S+: (folder|wandb): )")
"""The beginning of a record that says where the run lies, what may be typed next, or who is told of it."""
TYPED = ("command", "rerun")
"""Of provenance.json: the command line, which may name folders, and whether it said ``rerun=true``."""
FOLDER = re.compile(r"""(?<![\w.~/…-])~?/([^\s/'":,;()<>\[\]]+/)+""")
"""The folder of an absolute path: neither a part of a relative one, of an address, nor `samples/s`."""


def shareable_log(text: str) -> str:
    """Return a run's log without records of the machine, and with the last part alone of each absolute path."""
    kept = "".join(record for record in RECORD.split(text) if not RECORD_OF_THE_MACHINE.match(record))
    return re.sub(rf"\b{re.escape(socket.gethostname())}\b", "…", FOLDER.sub("…/", kept))


def shareable_config(run: Path) -> str:
    """Return a run's configuration as YAML, without the folders that it used. Raises DataError if there is none."""
    from omegaconf import OmegaConf

    config = read_config(run)
    config.pop("paths", None)
    return OmegaConf.to_yaml(config)


def shareable_provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return provenance without what names the machine, in what a resumed run noted of its earlier processes too."""
    kept = {key: value for key, value in provenance.items() if key not in TYPED}
    if "earlier" in kept:
        kept["earlier"] = [shareable_provenance(each) for each in kept["earlier"]]
    return kept
