"""The gated leaky integrate-and-fire neuron, for inputs of any shape."""

from spikingjelly.activation_based import neuron
from torch import Tensor


class GatedLIF(neuron.GatedLIFNode):  # type: ignore[misc]  # SpikingJelly has no types
    """x [T,N,…] → spikes [T,N,…]: GLIF with parameters of the layer (Yao et al. 2022, arXiv:2210.13768).

    SpikingJelly's GLIF broadcasts its parameters over [N,C,H,W] and returns other inputs with two axes more; this one
    keeps their shape. It learns a conductance for each of T timesteps, so it runs in multi-step mode only. Raises
    ValueError unless x has T timesteps.
    """

    def multi_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], **kwargs: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        """Run all timesteps, in SpikingJelly's terms: (x [T,N,…],), (v [N,…], …) → (spikes [T,N,…],), (v, v)."""
        x, v = inputs[0], states[0]
        if len(x) != self.T:
            raise ValueError(f"GLIF has a conductance for each of {self.T} timesteps, got {len(x)}")
        assert isinstance(v, Tensor)
        as_image = x.reshape(*x.shape[:2], 1, -1, 1)
        (spikes,), states = super().multi_step_functional_forward(
            (as_image,), (v.reshape(len(v), 1, -1, 1), *states[1:]), **kwargs
        )
        v = states[0]
        assert isinstance(v, Tensor)
        v = v.reshape(x.shape[1:])
        return (spikes.reshape(x.shape),), (v, v)
