"""What can be said to the person at the keyboard in one line."""


class ConfigError(ValueError):
    """The configuration cannot run: what was wrong and what would be right, in one line (exit code 2)."""


class DataError(RuntimeError):
    """Data is missing, damaged or malformed: which file, why, and what to do, in one line (exit code 1)."""


class ProtocolError(RuntimeError):
    """The test set was read where the protocol forbids it."""


class NotFinite(RuntimeError):
    """Training has left the finite numbers: where, and what helps (exit code 1)."""


def one_line(error: BaseException) -> str:
    """The first line of a library's error, or its kind where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
