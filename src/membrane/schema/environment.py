"""Values that a configuration took from the environment, carried with it, so that no file and no line shows them."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from membrane.errors import ConfigError, printable_text
from membrane.schema.secrets import MASK

Keys = tuple[str | int, ...]
"""The path of a value: ``("optimizer", "betas", 0)``."""
SHORTEST, SHORTEST_NUMBER = 4, 8
"""Characters from which a text or a number is told from others in a line: masking every "1" would leave no line."""
PUBLIC_WORDS = {"true", "false", "null", "none"}


@dataclass(frozen=True)
class FromEnvironment:
    """The settings outside ``paths`` that were taken from the environment.

    ``expressions`` are the settings by path, each as the expression that stands for it in what is saved.
    ``values`` are the texts that lines and tracebacks are searched for.
    """

    expressions: Mapping[Keys, str] = field(default_factory=dict)
    values: frozenset[str] = frozenset()

    def settings(self) -> str:
        """Return the settings as they are typed, with commas between them."""
        return ", ".join(".".join(map(str, keys)) for keys in self.expressions)

    def of_settings(self, names: Collection[str]) -> "FromEnvironment":
        """Return the same with the expressions of some top-level settings alone."""
        return replace(self, expressions={key: each for key, each in self.expressions.items() if key[0] in names})

    def hide(self, text: str) -> str:
        """Return a text with every value in it masked."""
        return hidden(text, self.values)

    @contextmanager
    def hidden_in_errors(self) -> Iterator[None]:
        """Mask the values in the message of a ConfigError that the block raises."""
        try:
            yield
        except ConfigError as error:
            line = self.hide(str(error))
            if line == str(error):
                raise
            raise ConfigError(line) from None


NOTHING = FromEnvironment()


def hidden(text: str, values: Iterable[str]) -> str:
    """Return a text with the values in it masked, also where a repr, JSON, a terminal or a line of it shows them."""
    pattern = pattern_of(values)
    return text if pattern is None else pattern.sub(MASK, text)


def pattern_of(values: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds the values, the longest first; None if there are none that can be told from other text."""
    written = [
        (value, *value.splitlines(), repr(value)[1:-1], json.dumps(value)[1:-1], printable_text(value))
        for value in values
    ]
    forms = {form for each in written for form in each}
    recognised = sorted(filter(is_recognisable, forms), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, recognised))) if recognised else None


def is_recognisable(value: str) -> bool:
    """Return whether a text is long enough to be told from others: 4 characters, for a number 8."""
    if value.strip().lower() in PUBLIC_WORDS:
        return False
    try:
        float(value)
    except ValueError:
        return len(value.strip()) >= SHORTEST
    return len(value.strip()) >= SHORTEST_NUMBER
