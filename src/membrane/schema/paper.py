"""The published claim that an experiment reproduces: what was claimed, under which protocol, and what counts as met."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.schema.node import Fraction, Positive, Settings

Number = Literal["best", "last", "mean_last10"]
"""Of the accuracies on the test set: the best epoch's, the last one's, the mean of the last ten."""


class Minutes(Settings):
    """The time that one seed is expected to take, on two processor cores and on one GPU; null where nobody knows."""

    cpu: Positive | None = None
    gpu: Positive | None = None


class Paper(Settings):
    """A row of a paper's table. Accuracies lie in [0, 1].

    ``protocol`` is the paper's own. ``band`` was fixed before anything was trained: the mean over seeds of the number
    ``compared`` is to lie in it, or, where versions may have moved the number, within ``by_hand_within`` of the same
    recipe by hand. It is None where nothing is published to compare with. ``differs`` says what the experiment does in
    another way than the paper, in words.
    """

    citation: str = Field(min_length=1)
    row: str = Field(min_length=1)
    source: str = Field(min_length=1)
    protocol: Literal["val_best", "last", "paper_best_on_test"]
    published: dict[Number, Fraction] = {}
    compared: Number = "last"
    band: Annotated[list[Fraction], Field(min_length=2, max_length=2)] | None = None
    by_hand_within: Fraction | None = None
    seeds: PositiveInt = 5
    parameters: PositiveInt | None = None
    minutes: Minutes = Minutes()
    differs: str = ""

    @model_validator(mode="after")
    def band_is_in_order(self) -> Self:
        """Reject a band whose lower bound lies above its upper one."""
        if self.band and self.band[0] > self.band[1]:
            raise ValueError(f"band: the lower bound comes first, got {self.band}")
        return self
