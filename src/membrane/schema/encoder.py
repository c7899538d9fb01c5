"""Encoders: from static data to spikes over time."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator

from membrane.schema.node import Node, Positive


class Encoder(Node):
    """Gives static data timesteps, for the frameworks that need them in the data."""


class BoundedEncoder(Encoder):
    """Encodes values between two bounds, [low, high]; those outside are clipped."""

    bounds: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        default=[0.0, 1.0], description="the values that are encoded as 0 and as 1; those outside are clipped"
    )

    @field_validator("bounds")
    @classmethod
    def bounds_are_in_order(cls, value: list[float]) -> list[float]:
        """Reject bounds with nothing between them."""
        if not value[0] < value[1]:
            raise ValueError(f"the lower bound comes first, as [0,1], got {value}")
        return value


class Rate(BoundedEncoder):
    choice = "rate"
    public = "membrane.encoders.rate.Rate"


class Latency(BoundedEncoder):
    choice = "latency"
    public = "membrane.encoders.latency.Latency"
    function: Literal["linear", "log"] = Field(
        default="linear", description="how the time of the spike falls with the value; log spreads small values"
    )


class Phase(BoundedEncoder):
    choice = "phase"
    public = "membrane.encoders.phase.Phase"
    period: int = Field(default=8, ge=1, le=24, description="digits of a value; with more timesteps they repeat")
    weighted: bool = Field(default=False, description="multiply spikes by 1/2, 1/4, 1/8 and so on, as the paper does")


class SignalEncoder(Encoder):
    """Takes signals [C,S], of which S is time, and cuts them into timesteps."""


class Chunks(SignalEncoder):
    choice = "chunks"
    public = "membrane.encoders.chunks.Chunks"
    window: PositiveInt | None = Field(
        default=None, description="samples of a timestep, so that they may overlap; by default they follow each other"
    )


class Delta(SignalEncoder):
    choice = "delta"
    public = "membrane.encoders.delta.Delta"
    threshold: Positive = Field(default=0.1, description="the change that makes a spike, in units of the data")
    polarity: Literal["channels", "signed", "on"] = Field(
        default="channels", description="off spikes in channels of their own, as -1 in the same, or none"
    )


class Lines(Encoder):
    """Reads an image line by line."""

    choice = "lines"
    public = "membrane.encoders.lines.Lines"
    axis: Literal["rows", "columns"] = Field(
        default="rows", description="what a timestep is: a row, from the top, or a column, from the left"
    )


ENCODERS = (Rate, Latency, Phase, Delta, Chunks, Lines)
