"""Models: their settings, and in one line what cannot be built. What each is for, and its paper: conf/model."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from membrane.models.geometry import per_layer, require_voters, shrinks, stem_and_groups
from membrane.schema.node import LATER, Count, Node, Trusted

Probability = Annotated[float, Field(ge=0, lt=1)]
Extent = PositiveInt | Annotated[list[PositiveInt], Field(min_length=1, max_length=2)]
"""A number for all axes of the data, or a list with one for each."""
Padding = Count | Annotated[list[Count], Field(min_length=1, max_length=2)]
Norm = Literal["batch", "none", "group", "tdbn", "tebn", "bntt"]
VOTES = "neurons behind the head for each class, whose mean is an output"
Recurrent = Literal["none", "elementwise", "lateral", "linear"]
TORCHS_MOMENTUM = 0.1
"""Of batch norms that are told of none."""


class Model(Node):
    """A network; ``dims`` (1 or 2) follows the data unless it is set.

    ``ranks`` are the dimensions that its data may have, ``ann_twin`` says whether it makes sense without spikes,
    ``owns_time`` whether its layers run in step mode 'm' under every framework.
    """

    ranks: ClassVar[tuple[int, ...]] = (1, 2)
    ann_twin: ClassVar[bool] = True
    owns_time: ClassVar[bool] = False

    dims: Literal[1, 2] | None = Field(default=None, description="1 for signals, 2 for images; the data's if not set")
    bn_momentum: float = LATER(
        default=TORCHS_MOMENTUM, gt=0, le=1, description="share of a batch in the running statistics of batch norms"
    )

    def parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments; ``bn_momentum`` is one of a user's own model only."""
        own = isinstance(self, Trusted)
        return {key: value for key, value in super().parameters().items() if own or key != "bn_momentum"}

    @property
    def spikes_out(self) -> bool:
        """Return whether the outputs are spikes or their counts: the last module is a neuron, or a sum of spikes."""
        return False


class SMLP(Model):
    """Spiking multi-layer perceptron: flatten → [linear → norm → neuron] for each of ``units`` → linear."""

    choice = "smlp"
    public = "membrane.models.smlp.SMLP"
    units: list[PositiveInt] = Field(default=[128])
    norm: Norm = LATER("none")
    recurrent: Recurrent = LATER("none")
    bias: bool = LATER(default=True)
    dropout: Probability = LATER(0.0)
    synapse_tau: float | None = LATER(
        default=None,
        gt=1,
        description="timesteps in which the current of a hidden neuron's spikes decays; it is learned",
    )
    max_delay: PositiveInt | None = LATER(
        default=None, description="timesteps of the longest delay of synapses that learn theirs, in every layer"
    )
    delay_epochs: PositiveInt = LATER(
        default=5,
        description="epochs in which training narrows learned delays to half a timestep; a quarter of all is usual",
    )
    head_neuron: bool = LATER(default=False)
    head_detach_reset: bool | None = LATER(
        default=None, description="detach_reset of the neuron behind the head, if it differs from the others'"
    )
    head_potential: bool = LATER(
        default=False, description="put out the potentials of the neuron behind the head, which still resets"
    )
    votes: PositiveInt = LATER(1, description=VOTES)

    @model_validator(mode="after")
    def settings_of_the_head_have_a_neuron(self) -> Self:
        """Reject settings of the neuron behind the head if there is none."""
        if self.head_detach_reset is not None and not self.head_neuron:
            raise ValueError("head_detach_reset is of the neuron behind the head: add model.head_neuron=true")
        if self.head_potential and not self.head_neuron:
            raise ValueError("head_potential is of the neuron behind the head: add model.head_neuron=true")
        require_voters(self.votes, self.head_neuron)
        return self

    @property
    def spikes_out(self) -> bool:
        """Return whether a neuron stands behind the head, and puts out its spikes; votes are shares of them."""
        return self.head_neuron and not self.head_potential and self.votes == 1


class SCNN(Model):
    """Spiking CNN: [conv → norm → neuron → dropout → pool] for each of ``filters`` → linear layers, or ``gsp``.

    A layer can be separable; with ``pool_first`` it pools before its norm and neuron; ``gsp`` is a head of a 1×1
    convolution, a neuron and a sum over all positions. ``prepool`` and ``postpool`` average before and behind the
    layers. A size of a layer is a number, or one for each axis: kernel_sizes=[[3,5],3] is 3×5, then 3×3.
    """

    choice = "scnn"
    public = "membrane.models.scnn.SCNN"
    former: ClassVar[Mapping[str, Any]] = {"batch_norm": True}
    filters: list[PositiveInt] = Field(min_length=1)
    kernel_sizes: PositiveInt | list[Extent] = 3
    paddings: Count | list[Padding] = 1
    strides: PositiveInt | list[Extent] = 1
    pool_sizes: PositiveInt | list[Extent] = 2
    conv_bias: bool = LATER(default=False)
    pool: Literal["max", "avg"] = LATER("max")
    pool_first: bool = LATER(default=False)
    dropouts: Probability | list[Probability] = 0.0
    separables: bool | list[bool] = False
    norm: Norm = LATER("batch")
    recurrent: Recurrent = LATER("none")
    fc_units: list[PositiveInt] = []
    fc_dropouts: Probability | list[Probability] = 0.0
    fc_bias: bool = LATER(default=True)
    head_dropout: Probability = LATER(0.0)
    gsp: bool = False
    head_neuron: bool = LATER(default=False)
    votes: PositiveInt = LATER(1, description=VOTES)
    prepool: Extent = 1
    postpool: Extent = 1

    @model_validator(mode="before")
    @classmethod
    def norm_was_batch_norm(cls, settings: Any) -> Any:
        """Read ``batch_norm``, as configurations have it that were saved before there were other norms."""
        if not isinstance(settings, Mapping) or not isinstance(settings.get("batch_norm"), bool):
            return settings
        norm = {} if settings["batch_norm"] else {"norm": "none"}
        return {**{key: value for key, value in settings.items() if key != "batch_norm"}, **norm}

    @model_validator(mode="after")
    def one_entry_a_layer(self) -> Self:
        """Reject lists of different lengths, naming each with its length."""
        lists = ("filters", "kernel_sizes", "paddings", "strides", "pool_sizes", "dropouts", "separables")
        per_layer(len(self.filters), **{name: getattr(self, name) for name in lists})
        per_layer(len(self.fc_units), fc_units=self.fc_units, fc_dropouts=self.fc_dropouts)
        return self

    @model_validator(mode="after")
    def one_neuron_behind_the_head(self) -> Self:
        """Reject ``head_neuron`` beside ``gsp``, which has a neuron of its own."""
        if self.gsp and self.head_neuron:
            raise ValueError("gsp=true has a neuron behind its head: leave head_neuron out")
        require_voters(self.votes, self.head_neuron)
        return self

    @property
    def spikes_out(self) -> bool:
        """Return whether a neuron stands behind the head; with ``gsp`` its spikes are summed over positions."""
        return self.gsp or (self.head_neuron and self.votes == 1)


class SResNet(Model):
    """Spiking ResNet that shrinks by max pooling: stem → groups of basic blocks → global pool → linear.

    A block adds its main path and its shortcut with no neuron after. With ``neuron_after_sum`` one behind the sum takes
    the place of those that end both paths: with ``neuron=relu`` the formal ResNet.
    """

    choice = "sresnet"
    public = "membrane.models.sresnet.SResNet"
    filters: list[PositiveInt] = Field(min_length=1)
    kernel_sizes: PositiveInt | list[Extent] = 3
    strides: PositiveInt | list[Extent] = 1
    paddings: Count | list[Padding] = 1
    num_blocks: PositiveInt | list[PositiveInt] = 1
    force_projection_with_stride: bool = False
    prepool: Extent = 1
    postpool: Literal["max", "avg"] = "avg"
    norm: Norm = "batch"
    neuron_after_sum: bool = LATER(default=False)

    @model_validator(mode="after")
    def one_entry_a_layer(self) -> Self:
        """Reject lists of different lengths, naming each with its length."""
        lists = ("kernel_sizes", "strides", "paddings")
        stem_and_groups(self.filters, self.num_blocks, **{name: getattr(self, name) for name in lists})
        return self


class SResNetStride(Model):
    """Spiking ResNet that shrinks by the strides of its convolutions, as an ANN's does; ``pool_sizes`` pool besides.

    A block adds its main path and its shortcut with no neuron after. With ``neuron_after_sum`` one behind the sum takes
    the place of those that end both paths: with ``neuron=relu`` the formal ResNet. ``postpool=sum`` is a head of a 1×1
    convolution, a neuron and a sum over all positions.
    """

    choice = "sresnet_stride"
    public = "membrane.models.sresnet_stride.SResNetStride"
    filters: list[PositiveInt] = Field(min_length=1)
    kernel_sizes: PositiveInt | list[Extent] = 3
    strides: PositiveInt | list[Extent] = 1
    paddings: Count | list[Padding] = 1
    pool_sizes: PositiveInt | list[Extent] = 1
    pool_every_block: bool = LATER(default=False)
    num_blocks: PositiveInt | list[PositiveInt] = 1
    force_projection_with_stride: bool = False
    force_projection_with_pooling: bool = False
    prepool: Extent = 1
    postpool: Literal["max", "avg", "sum"] = "avg"
    norm: Norm = "batch"
    neuron_after_sum: bool = LATER(default=False)

    @model_validator(mode="after")
    def one_entry_a_layer(self) -> Self:
        """Reject lists of different lengths, naming each with its length."""
        lists = ("kernel_sizes", "strides", "paddings", "pool_sizes")
        stem_and_groups(self.filters, self.num_blocks, **{name: getattr(self, name) for name in lists})
        return self

    def hashed_values(self) -> dict[str, Any]:
        """Return the two settings of how blocks shrink as off where they change nothing, as before there was a choice.

        Only with ``pool_every_block``, which a configuration from before does not have.
        """
        if not self.pool_every_block:
            return {}
        _, groups = stem_and_groups(self.filters, self.num_blocks, strides=self.strides, pools=self.pool_sizes)
        by_pool = self.force_projection_with_pooling
        projected = any(
            shrinks(stride) and width == before and not (by_pool and shrinks(pool))
            for (_, (width, stride, pool)), before in zip(groups, self.filters, strict=False)
        )
        return {
            "pool_every_block": any(count > 1 and shrinks(pool) for count, (_, _, pool) in groups),
            "force_projection_with_stride": self.force_projection_with_stride and projected,
        }

    @property
    def spikes_out(self) -> bool:
        """Return whether the head is a sum over positions, of spikes."""
        return self.postpool == "sum"


MODELS = (SMLP, SCNN, SResNet, SResNetStride)
