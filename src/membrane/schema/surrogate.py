"""Surrogate gradients of SpikingJelly: each a shape and its parameters."""

from pydantic import PositiveInt

from membrane.schema.node import Node, NotNegative, Positive, Trusted


class Surrogate(Node):
    """The derivative that stands in for the Heaviside step's, of u, the potential above the threshold."""


class ATan(Surrogate):
    """α/2 / (1 + (π·α·u/2)²): the derivative of an arc tangent (Fang et al. 2021, arXiv:2007.05785)."""

    choice = "atan"
    public = "spikingjelly.activation_based.surrogate.ATan"
    alpha: Positive = 2.0


class Sigmoid(Surrogate):
    """α·σ(αu)·(1 − σ(αu)): the derivative of a sigmoid."""

    choice = "sigmoid"
    public = "spikingjelly.activation_based.surrogate.Sigmoid"
    alpha: Positive = 4.0


class PiecewiseQuadratic(Surrogate):
    """A triangle: α − α²·|u| where |u| < 1/α (Bellec et al. 2018, arXiv:1803.09574, for example)."""

    choice = "piecewise_quadratic"
    public = "spikingjelly.activation_based.surrogate.PiecewiseQuadratic"
    alpha: Positive = 1.0


class PiecewiseExp(Surrogate):
    """α/2·exp(−α·|u|): a two-sided exponential (Shrestha, Orchard 2018, arXiv:1810.08646)."""

    choice = "piecewise_exp"
    public = "spikingjelly.activation_based.surrogate.PiecewiseExp"
    alpha: Positive = 1.0


class SoftSign(Surrogate):
    """α/2 / (1 + α·|u|)²: the derivative of a soft sign."""

    choice = "soft_sign"
    public = "spikingjelly.activation_based.surrogate.SoftSign"
    alpha: Positive = 2.0


class SuperSpike(Surrogate):
    """α / (1 + |u|)² (Zenke, Ganguli 2018, arXiv:1705.11146)."""

    choice = "super_spike"
    public = "spikingjelly.activation_based.surrogate.SuperSpike"
    alpha: Positive = 1.0


class NonzeroSignLogAbs(Surrogate):
    """α / (1 + α·|u|): the derivative of a signed logarithm."""

    choice = "nonzero_sign_log_abs"
    public = "spikingjelly.activation_based.surrogate.NonzeroSignLogAbs"
    alpha: Positive = 1.0


class Erf(Surrogate):
    """α/√π·exp(−α²u²): a Gaussian (Esser et al. 2015, for example)."""

    choice = "erf"
    public = "spikingjelly.activation_based.surrogate.Erf"
    alpha: Positive = 2.0


class PiecewiseLeakyReLU(Surrogate):
    """1/(2w) where |u| ≤ w, c outside (Yin et al. 2020, arXiv:2005.11633, for example)."""

    choice = "piecewise_leaky_relu"
    public = "spikingjelly.activation_based.surrogate.PiecewiseLeakyReLU"
    w: Positive = 1.0
    c: NotNegative = 0.01


class SquarewaveFourierSeries(Surrogate):
    """4/P·Σ cos(2πiu/P) over the first n − 1 odd i, P = ``T_period``: a square wave's Fourier series derived."""

    choice = "squarewave_fourier_series"
    public = "spikingjelly.activation_based.surrogate.SquarewaveFourierSeries"
    n: PositiveInt = 2
    T_period: Positive = 8.0


class S2NN(Surrogate):
    """A sigmoid's derivative below the threshold, β/(1 + u) above (Suetake et al. 2022, arXiv:2201.10879)."""

    choice = "s2nn"
    public = "spikingjelly.activation_based.surrogate.S2NN"
    alpha: Positive = 4.0
    beta: Positive = 1.0


class QPseudoSpike(Surrogate):
    """(1 + 2/(α − 1)·|u|)^−α (Herranz-Celotti, Rouat 2022, arXiv:2202.00282)."""

    choice = "q_pseudo_spike"
    public = "spikingjelly.activation_based.surrogate.QPseudoSpike"
    alpha: Positive = 2.0


class LeakyKReLU(Surrogate):
    """``leak`` below the threshold, k above."""

    choice = "leaky_k_relu"
    public = "spikingjelly.activation_based.surrogate.LeakyKReLU"
    leak: NotNegative = 0.0
    k: Positive = 1.0


class FakeNumericalGradient(Surrogate):
    """1/|u|, at most α."""

    choice = "fake_numerical_gradient"
    public = "spikingjelly.activation_based.surrogate.FakeNumericalGradient"
    alpha: Positive = 0.3


class LogTailedReLU(Surrogate):
    """1 near above the threshold, 1/u far above, α below (Cai et al. 2017, arXiv:1702.00953)."""

    choice = "log_tailed_relu"
    public = "spikingjelly.activation_based.surrogate.LogTailedReLU"
    alpha: NotNegative = 0.0


class Rect(Surrogate):
    """α where |u| < 1/(2α): a window (Wu et al. 2018, arXiv:1706.02609)."""

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
