"""Data sets of sound: how recordings become features, and which of them test."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.data.sound.layout import Features, Form, SoundLayout
from membrane.errors import ConfigError
from membrane.schema.dataset import Dataset
from membrane.schema.node import Positive


class SoundDataset(Dataset):
    """Recordings as features over time; ``shape`` and ``timesteps_in_data`` follow from the settings."""

    way_to_timesteps: ClassVar[str] = "dataset.form=timesteps"

    shape: list[PositiveInt] = Field(default=[], max_length=3)
    features: Features = "log_mel"
    form: Form = "image"
    seconds: Positive = 1.0
    stretch: PositiveInt | None = None
    window: Positive = 25.0
    hop: Positive = 10.0
    bands: PositiveInt = 40
    coefficients: PositiveInt | None = None
    decibels: Positive = 80.0
    threshold: Positive = 6.0
    center: bool = False

    @model_validator(mode="after")
    def facts_follow_from_settings(self) -> Self:
        """Fill in the facts. Reject others, and settings that do not go together."""
        layout = self.layout
        if self.shape and self.shape != layout.shape:
            raise ConfigError(f"shape={self.shape}: it follows from the settings, {layout.shape}: leave it out")
        if self.timesteps_in_data and not layout.timesteps_in_data:
            raise ConfigError("timesteps_in_data follows from the form: use form=timesteps")
        for fact in ("shape", "timesteps_in_data"):  # frozen, and not whole before
            object.__setattr__(self, fact, getattr(layout, fact))
        return self

    @property
    def layout(self) -> SoundLayout:
        """The settings as the data set takes them."""
        return SoundLayout(**{name: getattr(self, name) for name in SoundLayout.__dataclass_fields__})

    @property
    def most_timesteps(self) -> int | None:
        """The number of frames, if they are put into timesteps."""
        return self.layout.frames if self.timesteps_in_data else None


class FSDD(SoundDataset):
    """Spoken digits; ``partition`` says whether the test part is of recordings or of speakers."""

    choice = "fsdd"
    public = "membrane.data.fsdd.FSDD"
    partition: Literal["index", "speaker"] = "index"

    @model_validator(mode="after")
    def speakers_are_left_out(self) -> Self:
        """Reject a split by speaker that leaves none out to test on, and one by index that does."""
        if self.partition == "speaker" and self.leave_out is None:
            raise ConfigError("partition=speaker tests on speakers that are left out, 0 to 5: add dataset.leave_out=3")
        if self.partition == "index" and self.leave_out is not None:
            raise ConfigError(
                "leave_out is of speakers, whom partition=index does not tell apart: add dataset.partition=speaker"
            )
        return self


class SpeechCommands(SoundDataset):
    """Words; ``classes`` are a choice here, and go to the constructor."""

    choice = "speech_commands"
    public = "membrane.data.speech_commands.SpeechCommands"
    version: Literal[1, 2] = 2
    classes: Literal[12, 20, 30, 35] = 35

    @model_validator(mode="after")
    def version_has_the_words(self) -> Self:
        """Reject the number of words of the other version."""
        words, others = {1: (30, 35), 2: (35, 30)}[self.version]
        if self.classes == others:
            raise ConfigError(f"classes={others}, but version={self.version} has {words} words: use classes={words}")
        return self

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments, of which the number of classes is one."""
        return {**super().parameters(), "classes": self.classes}


SOUND_DATASETS = (FSDD, SpeechCommands)
