"""A search space in Hydra's syntax: `a,b,c`, `choice(...)`, `range(...)`, `interval(...)`, `tag(log, ...)`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from membrane.errors import ConfigError
from membrane.runs.fingerprint import UNSHAPING_SETTINGS

FORMS = "write a,b,c, choice(a,b), range(1,5), interval(0.1,1) or tag(log,interval(1e-4,1e-2))"
"""The syntax of a search space, for error messages."""


@dataclass(frozen=True)
class CategoricalDimension:
    """One of several values, each as it is typed; ``key`` is the setting's name as it is typed."""

    key: str
    values: tuple[str, ...]

    def example_overrides(self) -> list[str]:
        """Return an override for every value, since any of them may be refused."""
        return [f"{self.key}={value}" for value in self.values]


@dataclass(frozen=True)
class NumericDimension:
    """A number from ``low`` to ``high``, both included; a whole number if both are.

    With ``step`` only ``low`` plus a multiple of it; with ``log`` drawn evenly over the logarithm.
    """

    key: str
    low: float | int
    high: float | int
    step: float | int | None = None
    log: bool = False

    def example_overrides(self) -> list[str]:
        """Return an override for each end, since values in between are seldom refused where the ends are not."""
        return [f"{self.key}={value!r}" for value in dict.fromkeys((self.low, self.high))]


Dimension = CategoricalDimension | NumericDimension


def search_space(params: Iterable[Any], typed: Iterable[Any]) -> dict[str, Dimension]:
    """Return the dimensions by setting, from overrides as Hydra parses them.

    Those of a file (``params``) come first; one that was also typed on the command line is taken from there. Raises
    ConfigError if one of ``params`` is no search space, or if there is nothing to search.
    """
    overrides: dict[str, Any] = {}
    for override in params:
        if not override.is_sweep_override():
            value = override.get_value_element_as_str()
            raise ConfigError(f"hydra.sweeper.params: {setting_name(override)}={value} is no search space: {FORMS}")
        overrides[setting_name(override)] = override
    for override in typed:
        name = setting_name(override)
        overrides.pop(name, None)
        if override.is_sweep_override():
            overrides[name] = override
    if not overrides:
        raise ConfigError(f"nothing to search: no setting has a search space; {FORMS}")
    for name in overrides:
        refuse_unsearchable(name)
    return {name: dimension_of(name, override) for name, override in overrides.items()}


def setting_name(override: Any) -> str:
    """Return ``optimizer.lr`` for ``++optimizer.lr=…``."""
    return str(override.get_key_element()).lstrip("+~")


def refuse_unsearchable(name: str) -> None:
    """Raise ConfigError if a setting shapes no result, or would choose among results instead of settings."""
    top = name.split(".")[0].split("/")[0]
    if top in ("hydra", "sweep", "debug", "protocol") or top in UNSHAPING_SETTINGS:
        raise ConfigError(f"{name} cannot be searched: a sweep compares what shapes the result; give it one value")


def dimension_of(name: str, override: Any) -> Dimension:
    """Return the dimension of a setting's search space. Raises ConfigError if it is empty or makes no sense."""
    key, sweep = str(override.get_key_element()), override.value()
    tags: set[str] = getattr(sweep, "tags", set())
    for tag in sorted(tags - {"log"}):
        raise ConfigError(f"{name}: tag {tag!r} has no meaning here; tag(log, …) is the only one")
    if override.is_choice_sweep():
        if tags:
            raise ConfigError(f"{name}: tag(log, …) needs a range or an interval of numbers, not choices")
        return categorical_dimension(name, key, override)
    if override.is_range_sweep():
        return range_dimension(name, key, sweep)
    return interval_dimension(name, key, sweep)


def categorical_dimension(name: str, key: str, override: Any) -> CategoricalDimension:
    """Return the values of `a,b,c` or `choice(...)` in the order in which they were typed, each once."""
    sweep = override.value()
    if getattr(sweep, "shuffle", False):
        sweep.shuffle = False  # in another order it would be another study
    values = tuple(dict.fromkeys(override.sweep_string_iterator()))
    if not values:
        raise ConfigError(f"{name}: there is nothing to choose from")
    return CategoricalDimension(key, values)


def range_dimension(name: str, key: str, sweep: Any) -> NumericDimension:
    """Return the numbers of `range(start,stop,step)`, without ``stop``, as Hydra has it."""
    numbers = list(sweep.range())
    if not numbers:
        raise ConfigError(f"{name}: range({sweep.start},{sweep.stop},{sweep.step}) is empty")
    log = "log" in sweep.tags
    if log and (sweep.step != 1 or not isinstance(numbers[0], int) or numbers[0] < 1):
        raise ConfigError(f"{name}: a log range is of positive whole numbers with step 1; or tag(log,interval(…))")
    low, step = min(numbers), abs(sweep.step)
    if isinstance(low, int):
        return NumericDimension(key, low, max(numbers), step, log)
    # in decimals: as floats 0.1 + 2 * 0.1 is 0.30000000000000004
    high = Decimal(str(low)) + (len(numbers) - 1) * Decimal(str(step))
    return NumericDimension(key, low, float(high), float(step), log)


def interval_dimension(name: str, key: str, sweep: Any) -> NumericDimension:
    """Return the numbers of `interval(low,high)`, or the whole numbers of `int(interval(1,8))`."""
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    if low > high:
        raise ConfigError(f"{name}: interval({low:g},{high:g}) is empty; the lower end comes first")
    if log and low <= 0:
        raise ConfigError(f"{name}: a log interval begins above 0, not at {low:g}")
    return NumericDimension(key, low, high, 1 if isinstance(low, int) else None, log)


def example_jobs(fixed: Sequence[str], space: Mapping[str, Dimension]) -> Iterator[list[str]]:
    """Yield the overrides of jobs that show whether a search can run: together they have every example of a value.

    The first has the first example of each dimension; each other one differs from it in one dimension.
    """
    examples = {name: dimension.example_overrides() for name, dimension in space.items()}
    first = {name: overrides[0] for name, overrides in examples.items()}
    yield [*fixed, *first.values()]
    for name, overrides in examples.items():
        for override in overrides[1:]:
            yield [*fixed, *{**first, name: override}.values()]
