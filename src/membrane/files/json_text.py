"""JSON that somebody else may have written, within limits."""

import json
import re
from typing import Any

DEPTH = 100
"""Objects and lists in one another, at most."""
DIGITS = 100
"""Digits of a number, at most: more would not fit a float."""
OUTSIDE_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[^\[\]{}"]+')


def parse_json(content: bytes) -> Any:
    """Return what JSON in UTF-8 says; NaN and Infinity are floats, as Python writes them.

    Raises ValueError if it is not JSON, nested too deeply, or has numbers of too many digits.
    """
    depth = 0
    for bracket in OUTSIDE_STRINGS.sub(b"", content):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH:
            raise ValueError(f"nested more than {DEPTH} levels deep")
    return json.loads(content.decode("utf-8"), parse_int=short_integer)


def short_integer(text: str) -> int:
    """Return a whole number. Raises ValueError for one of too many digits."""
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
