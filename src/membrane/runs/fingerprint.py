"""A hash of everything in a configuration that shapes the result."""

import hashlib
import json
from typing import Any

from membrane.schema import Config, Settings

UNSHAPING = {"name", "seed", "paths", "logger", "rerun", "trust", "keep_going"}
"""Top-level settings that do not shape the result."""


UNSHAPING_TRAINER = {"devices", "accelerator", "progress"}


def fingerprint(config: Config) -> str:
    """SHA-256, 12 hex digits, of the canonical JSON of what shapes the result."""
    said = {key: value for key, value in entering(config).items() if key not in UNSHAPING}
    said["trainer"] = {key: value for key, value in said["trainer"].items() if key not in UNSHAPING_TRAINER}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def entering(settings: Any) -> Any:
    """Settings as plain values; a field declared ``LATER`` enters only where it differs from its default.

    So a key that is added to the schema after fingerprints exist leaves them as they were, and so does one that goes. A
    field declared ``UNSHAPING`` never enters.
    """
    if isinstance(settings, Settings):
        said: dict[str, Any] = dict(settings.former)
        for name, field in type(settings).model_fields.items():
            value = getattr(settings, name)
            marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            as_before = marks.get("later") and value == field.get_default(call_default_factory=True)
            if not (as_before or marks.get("unshaping")):
                said[field.alias or name] = entering(value)
        return {**said, **(settings.model_extra or {})}
    if isinstance(settings, dict):
        # a pair of lists keeps the order, which canonical JSON of a mapping would lose: augmentations run in order
        return [[key, entering(value)] for key, value in settings.items()]
    return settings
