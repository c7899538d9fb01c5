"""Settings by name, typed and frozen, without unknown keys: the base of every group."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]

LATER = partial(Field, json_schema_extra={"later": True})
"""A field that enters the fingerprint only where it differs from its default."""
UNSHAPING = partial(Field, json_schema_extra={"unshaping": True})
"""A field that never enters the fingerprint: it does not shape the result."""


class Settings(BaseModel):
    """Settings by name. An int where a float is meant becomes one; nothing else is converted.

    A setting that came after fingerprints existed is declared with ``LATER``. ``former`` holds the values of settings
    that are gone since: they still enter the fingerprint.
    """

    former: ClassVar[Mapping[str, Any]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def hashed_values(self) -> dict[str, Any]:
        """Return values that enter the fingerprint in place of a setting's own: those of a setting without effect."""
        return {}


class Node(Settings):
    """Settings from which one object is built: ``_target_`` is its public name, the rest are its parameters.

    ``choice`` is the name in the group, ``public`` the name that ``_target_`` must have, ``defined`` where the class
    says that it is defined if that differs. Defaults equal those of the class that is built (tested), so that a YAML
    file states only what differs.
    """

    choice: ClassVar[str] = ""
    public: ClassVar[str] = ""
    defined: ClassVar[str] = ""

    target: str = Field(alias="_target_")

    @property
    def name_of_choice(self) -> str:
        """Return ``lif`` for SpikingJelly's LIFNode, the class's own name for a user's class."""
        return self.choice or self.target.rpartition(".")[2]

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments that stand in this node."""
        return {key: value for key, value in self.model_dump(by_alias=True).items() if key != "_target_"}


class Trusted(Node):
    """A user's own class: its parameters are checked against its signature when it is built."""

    model_config = ConfigDict(extra="allow")

    @model_serializer(mode="wrap")
    def only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the settings that were set, to be saved and passed on: the class need not know the group's others."""
        settings = handler(self)
        return {key: value for key, value in settings.items() if key == "_target_" or key in self.model_fields_set}
