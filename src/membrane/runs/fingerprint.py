"""A hash of everything in a configuration that shapes the result."""

import hashlib
import json
from typing import Any

from membrane.schema import Config, Settings

UNSHAPING_SETTINGS = {"name", "seed", "paths", "logger", "rerun", "trust", "keep_going"}
"""Top-level settings that do not shape the result, beside those that the schema declares so."""
UNSHAPING_TRAINER = {"devices", "accelerator", "progress"}
"""Settings of the trainer that do not shape the result, beside those that the schema declares so."""


def fingerprint(config: Config) -> str:
    """Return the SHA-256, 12 hex digits, of the canonical JSON of what shapes the result."""
    settings = {key: value for key, value in hashed_settings(config).items() if key not in UNSHAPING_SETTINGS}
    settings["trainer"] = {key: value for key, value in settings["trainer"].items() if key not in UNSHAPING_TRAINER}
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def hashed_settings(value: Any) -> Any:
    """Return settings as the plain values that are hashed.

    A field declared ``LATER`` is among them only where it differs from its default, so that a key that is added to the
    schema, or leaves it, keeps the fingerprints that exist. A field declared ``UNSHAPING`` never is. ``hashed_values``
    of the settings stand in for those that they name.
    """
    if isinstance(value, Settings):
        settings: dict[str, Any] = dict(value.former)
        replaced = value.hashed_values()
        for name, field in type(value).model_fields.items():
            inner = replaced.get(name, getattr(value, name))
            marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            as_before = marks.get("later") and inner == field.get_default(call_default_factory=True)
            if not (as_before or marks.get("unshaping")):
                settings[field.alias or name] = hashed_settings(inner)
        return {**settings, **(value.model_extra or {})}
    if isinstance(value, dict):
        # a pair of lists keeps the order, which canonical JSON of a mapping would lose: augmentations run in order
        return [[key, hashed_settings(inner)] for key, inner in value.items()]
    return value
