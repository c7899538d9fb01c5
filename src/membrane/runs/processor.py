"""The processor, as Linux describes it in /proc/cpuinfo."""

import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def cpuinfo_field(*names: str) -> str | None:
    """Return the first processor's value of a field that has one of these names, None where there is none."""
    try:
        line = re.search(rf"^(?:{'|'.join(names)})\s*:(.*)$", CPUINFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return line[1].strip() if line else None


def processor_name() -> str:
    """Return the processor's name as the system gives it."""
    return cpuinfo_field("model name") or platform.processor() or platform.machine()
