"""Surrogate gradients, SpikingJelly's and ours, a line each: the choice, the class and its settings.

Their shapes and papers stand in conf/surrogate. That the settings are the constructors' is tested.
"""

from typing import Any

from pydantic import PositiveInt, create_model

from membrane.schema.node import Node, NotNegative, Positive, Trusted


class Surrogate(Node):
    """The derivative that stands in for the Heaviside step's, of u, the potential above the threshold."""


class FurtherSurrogate(Surrogate, Trusted):
    """Another surrogate of SpikingJelly's, named by its class (surrogate._target_=…), which checks its settings."""


SPIKINGJELLY, OURS = "spikingjelly.activation_based.surrogate", "membrane.neurons.surrogates"


def declare(choice: str, name: str, home: str = SPIKINGJELLY, **settings: tuple[Any, Any]) -> type[Surrogate]:
    """Return the node of the surrogate ``name`` in module ``home``; each setting is its (type, default).

    Without a ``choice`` it can only be named by its class.
    """
    base = Surrogate if choice else FurtherSurrogate
    node: type[Surrogate] = create_model(name, __base__=base, __module__=__name__, **settings)  # type: ignore[call-overload]
    node.choice, node.public = choice, f"{home}.{name}"
    return node


SURROGATES = (
    declare("atan", "ATan", alpha=(Positive, 2.0)),
    declare("sigmoid", "Sigmoid", alpha=(Positive, 4.0)),
    declare("piecewise_quadratic", "PiecewiseQuadratic", alpha=(Positive, 1.0)),
    declare("piecewise_exp", "PiecewiseExp", alpha=(Positive, 1.0)),
    declare("soft_sign", "SoftSign", alpha=(Positive, 2.0)),
    declare("super_spike", "SuperSpike", alpha=(Positive, 1.0)),
    declare("nonzero_sign_log_abs", "NonzeroSignLogAbs", alpha=(Positive, 1.0)),
    declare("erf", "Erf", alpha=(Positive, 2.0)),
    declare("piecewise_leaky_relu", "PiecewiseLeakyReLU", w=(Positive, 1.0), c=(NotNegative, 0.01)),
    declare("squarewave_fourier_series", "SquarewaveFourierSeries", n=(PositiveInt, 2), T_period=(Positive, 8.0)),
    declare("s2nn", "S2NN", alpha=(Positive, 4.0), beta=(Positive, 1.0)),
    declare("q_pseudo_spike", "QPseudoSpike", alpha=(Positive, 2.0)),
    declare("leaky_k_relu", "LeakyKReLU", leak=(NotNegative, 0.0), k=(Positive, 1.0)),
    declare("fake_numerical_gradient", "FakeNumericalGradient", alpha=(Positive, 0.3)),
    declare("log_tailed_relu", "LogTailedReLU", alpha=(NotNegative, 0.0)),
    declare("rect", "Rect", alpha=(Positive, 1.0)),
    declare("fast_sigmoid", "FastSigmoid", OURS, alpha=(Positive, 25.0)),
    declare("slayer", "Slayer", OURS, alpha=(Positive, 5.0), c=(Positive, 0.4)),
    declare("boxcar", "Boxcar", OURS, width=(Positive, 1.0), height=(Positive, 0.5)),
    declare("", "MultiLevelSpikeCount"),
    declare("", "DeterministicPass"),
)
