"""What can be said to the person at the keyboard in one line."""


class ConfigError(ValueError):
    """The configuration cannot run: what was wrong and what would be right, in one line (exit code 2)."""


class DataError(RuntimeError):
    """Data is missing, damaged or malformed: which file, why, and what to do, in one line (exit code 1)."""


class ProtocolError(RuntimeError):
    """The test set was read where the protocol forbids it."""


class NotFinite(RuntimeError):
    """Training has left the finite numbers: where, and what helps (exit code 1)."""
