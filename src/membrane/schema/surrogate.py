"""Surrogate gradients of SpikingJelly: the parameters of each. Its shape and its paper: conf/surrogate."""

from pydantic import PositiveInt

from membrane.schema.node import Node, NotNegative, Positive, Trusted


class Surrogate(Node):
    """The derivative that stands in for the Heaviside step's, of u, the potential above the threshold."""


class ATan(Surrogate):
    choice = "atan"
    public = "spikingjelly.activation_based.surrogate.ATan"
    alpha: Positive = 2.0


class Sigmoid(Surrogate):
    choice = "sigmoid"
    public = "spikingjelly.activation_based.surrogate.Sigmoid"
    alpha: Positive = 4.0


class PiecewiseQuadratic(Surrogate):
    choice = "piecewise_quadratic"
    public = "spikingjelly.activation_based.surrogate.PiecewiseQuadratic"
    alpha: Positive = 1.0


class PiecewiseExp(Surrogate):
    choice = "piecewise_exp"
    public = "spikingjelly.activation_based.surrogate.PiecewiseExp"
    alpha: Positive = 1.0


class SoftSign(Surrogate):
    choice = "soft_sign"
    public = "spikingjelly.activation_based.surrogate.SoftSign"
    alpha: Positive = 2.0


class SuperSpike(Surrogate):
    choice = "super_spike"
    public = "spikingjelly.activation_based.surrogate.SuperSpike"
    alpha: Positive = 1.0


class NonzeroSignLogAbs(Surrogate):
    choice = "nonzero_sign_log_abs"
    public = "spikingjelly.activation_based.surrogate.NonzeroSignLogAbs"
    alpha: Positive = 1.0


class Erf(Surrogate):
    choice = "erf"
    public = "spikingjelly.activation_based.surrogate.Erf"
    alpha: Positive = 2.0


class PiecewiseLeakyReLU(Surrogate):
    choice = "piecewise_leaky_relu"
    public = "spikingjelly.activation_based.surrogate.PiecewiseLeakyReLU"
    w: Positive = 1.0
    c: NotNegative = 0.01


class SquarewaveFourierSeries(Surrogate):
    choice = "squarewave_fourier_series"
    public = "spikingjelly.activation_based.surrogate.SquarewaveFourierSeries"
    n: PositiveInt = 2
    T_period: Positive = 8.0


class S2NN(Surrogate):
    choice = "s2nn"
    public = "spikingjelly.activation_based.surrogate.S2NN"
    alpha: Positive = 4.0
    beta: Positive = 1.0


class QPseudoSpike(Surrogate):
    choice = "q_pseudo_spike"
    public = "spikingjelly.activation_based.surrogate.QPseudoSpike"
    alpha: Positive = 2.0


class LeakyKReLU(Surrogate):
    choice = "leaky_k_relu"
    public = "spikingjelly.activation_based.surrogate.LeakyKReLU"
    leak: NotNegative = 0.0
    k: Positive = 1.0


class FakeNumericalGradient(Surrogate):
    choice = "fake_numerical_gradient"
    public = "spikingjelly.activation_based.surrogate.FakeNumericalGradient"
    alpha: Positive = 0.3


class LogTailedReLU(Surrogate):
    choice = "log_tailed_relu"
    public = "spikingjelly.activation_based.surrogate.LogTailedReLU"
    alpha: NotNegative = 0.0


class Rect(Surrogate):
    choice = "rect"
    public = "spikingjelly.activation_based.surrogate.Rect"
    alpha: Positive = 1.0


class FurtherSurrogate(Surrogate, Trusted):
    """Another surrogate of SpikingJelly's, named by its class (surrogate._target_=…), which checks its settings."""


class MultiLevelSpikeCount(FurtherSurrogate):
    """Several spikes at once, up to ``max_spike_count``: for ILIFNode."""

    public = "spikingjelly.activation_based.surrogate.MultiLevelSpikeCount"


class DeterministicPass(FurtherSurrogate):
    """The identity's gradient."""

    public = "spikingjelly.activation_based.surrogate.DeterministicPass"


SURROGATES = (
    ATan,
    Sigmoid,
    PiecewiseQuadratic,
    PiecewiseExp,
    SoftSign,
    SuperSpike,
    NonzeroSignLogAbs,
    Erf,
    PiecewiseLeakyReLU,
    SquarewaveFourierSeries,
    S2NN,
    QPseudoSpike,
    LeakyKReLU,
    FakeNumericalGradient,
    LogTailedReLU,
    Rect,
    MultiLevelSpikeCount,
    DeterministicPass,
)
