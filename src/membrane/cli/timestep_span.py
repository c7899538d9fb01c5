"""The words ``timesteps=1..T`` and ``timesteps=1..8`` of `membrane evaluate`: every number of timesteps up to one."""

import re
from collections.abc import Sequence

from membrane.errors import ConfigError

SPAN = re.compile(r"timesteps=([0-9T]+)\.\.([0-9]{1,9}|T)")
"""timesteps=1..T, every number of timesteps up to the run's, or 1..8."""
SPANS = "1..T, as far as the run goes, or 1..8 and the like"


def split_span(overrides: Sequence[str]) -> tuple[list[str], str | None]:
    """Return the overrides without ``timesteps=1..T``, and that one; of ``1..8`` what remains is ``timesteps=8``.

    Raises ConfigError for a span that does not begin at 1 or is mistyped, and for a second word on timesteps.
    """
    spans = [match for each in overrides if (match := SPAN.fullmatch(each))]
    for each in overrides:
        if each.startswith("timesteps=") and ".." in each and not SPAN.fullmatch(each):
            raise ConfigError(f"{each}: expected a whole number, or {SPANS}")
    if not spans:
        return list(overrides), None
    if sum(each.startswith("timesteps=") for each in overrides) > 1:
        raise ConfigError(f"{spans[0][0]} says all of the timesteps: leave out what else is said of them")
    if spans[0][1] != "1" or spans[0][2] == "0":
        raise ConfigError(f"{spans[0][0]}: expected {SPANS}")
    last = [] if spans[0][2] == "T" else [f"timesteps={spans[0][2]}"]
    return [*(each for each in overrides if each != spans[0][0]), *last], spans[0][0]
