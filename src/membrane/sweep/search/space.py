"""A search space in Hydra's own words: `a,b,c`, `choice(...)`, `range(...)`, `interval(...)`, `tag(log, ...)`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from membrane.errors import ConfigError
from membrane.runs.fingerprint import UNSHAPING

FORMS = "write a,b,c, choice(a,b), range(1,5), interval(0.1,1) or tag(log,interval(1e-4,1e-2))"


@dataclass(frozen=True)
class Choices:
    """One of several values, each as it is typed."""

    key: str
    values: tuple[str, ...]

    def examples(self) -> list[str]:
        """Every value: each of them may be one that cannot run."""
        return [f"{self.key}={value}" for value in self.values]


@dataclass(frozen=True)
class Numbers:
    """A number from ``low`` to ``high``, both included; whole where both are; only every ``step``-th where one is set.

    ``log``: drawn evenly over the logarithm.
    """

    key: str
    low: float | int
    high: float | int
    step: float | int | None = None
    log: bool = False

    def examples(self) -> list[str]:
        """Both ends: what cannot run is seldom in between."""
        return [f"{self.key}={value!r}" for value in dict.fromkeys((self.low, self.high))]


Dimension = Choices | Numbers


def search_space(params: Iterable[Any], typed: Iterable[Any]) -> dict[str, Dimension]:
    """The dimensions in ``params`` (of a file) and ``typed`` (on the command line, which wins), by their plain names.

    Both are overrides as Hydra parses them. ConfigError where one is no search space, or none is there.
    """
    said: dict[str, Any] = {}
    for override in params:
        if not override.is_sweep_override():
            value = override.get_value_element_as_str()
            raise ConfigError(f"hydra.sweeper.params: {plain_name(override)}={value} is no search space: {FORMS}")
        said[plain_name(override)] = override
    for override in typed:
        name = plain_name(override)
        said.pop(name, None)
        if override.is_sweep_override():
            said[name] = override
    if not said:
        raise ConfigError(f"nothing to search: no setting has a search space; {FORMS}")
    for name in said:
        refuse_what_is_not_compared(name)
    return {name: dimension(name, override) for name, override in said.items()}


def plain_name(override: Any) -> str:
    """``optimizer.lr`` of ``++optimizer.lr=…``."""
    return str(override.get_key_element()).lstrip("+~")


def refuse_what_is_not_compared(name: str) -> None:
    """ConfigError for what shapes no result, and for what would choose a lucky result instead of a setting."""
    top = name.split(".")[0].split("/")[0]
    if top in ("hydra", "sweep", "debug", "protocol") or top in UNSHAPING:
        raise ConfigError(f"{name} cannot be searched: a sweep compares what shapes the result; give it one value")


def dimension(name: str, override: Any) -> Dimension:
    """One dimension. ConfigError where it holds nothing or its form has no meaning."""
    key = str(override.get_key_element())
    tags: set[str] = getattr(override._value, "tags", set())
    for tag in sorted(tags - {"log"}):
        raise ConfigError(f"{name}: tag {tag!r} has no meaning here; tag(log, …) is the only one")
    if override.is_choice_sweep():
        if tags:
            raise ConfigError(f"{name}: tag(log, …) needs a range or an interval of numbers, not choices")
        return choices(name, key, override)
    if override.is_range_sweep():
        return stepped(name, key, override._value)
    return between(name, key, override._value)


def choices(name: str, key: str, override: Any) -> Choices:
    """Values by name, in the order in which they were typed."""
    if getattr(override._value, "shuffle", False):
        override._value.shuffle = False  # a study must know its choices again
    values = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not values:
        raise ConfigError(f"{name}: there is nothing to choose from")
    return Choices(key, values)


def stepped(name: str, key: str, value: Any) -> Numbers:
    """`range(start,stop,step)`, ``stop`` left out as Hydra does."""
    numbers = list(value.range())
    if not numbers:
        raise ConfigError(f"{name}: range({value.start},{value.stop},{value.step}) is empty")
    log = "log" in value.tags
    if log and (value.step != 1 or not isinstance(numbers[0], int) or numbers[0] < 1):
        raise ConfigError(f"{name}: a log range is of positive whole numbers with step 1; or tag(log,interval(…))")
    low, step = min(numbers), abs(value.step)
    if isinstance(low, int):
        return Numbers(key, low, max(numbers), step, log)
    exact = Decimal(str(low)) + (len(numbers) - 1) * Decimal(str(step))
    return Numbers(key, low, float(exact), float(step), log)


def between(name: str, key: str, value: Any) -> Numbers:
    """`interval(low,high)`; whole numbers by `int(interval(1,8))`."""
    low, high, log = value.start, value.end, "log" in value.tags
    if low > high:
        raise ConfigError(f"{name}: interval({low:g},{high:g}) is empty; the lower end comes first")
    if log and low <= 0:
        raise ConfigError(f"{name}: a log interval begins above 0, not at {low:g}")
    return Numbers(key, low, high, 1 if isinstance(low, int) else None, log)


def examples(fixed: Sequence[str], space: Mapping[str, Dimension]) -> Iterator[list[str]]:
    """Jobs that show whether a search can run: one with the first value of everything, then each other value in it."""
    each = {name: found.examples() for name, found in space.items()}
    first = {name: values[0] for name, values in each.items()}
    yield [*fixed, *first.values()]
    for name, values in each.items():
        for value in values[1:]:
            yield [*fixed, *{**first, name: value}.values()]
