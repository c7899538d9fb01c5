# %% [markdown]
# # Inside a network
#
# What a neuron does at each timestep, computed by hand and by the library; what a surrogate gradient is; and how the
# four frameworks call a model. Nothing is trained.
#
# ## A potential by hand
#
# A leaky integrate-and-fire neuron moves from its potential v towards its input x by 1/τ of the way. At the threshold
# it spikes, and its potential is set to 0.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from spikingjelly.activation_based import neuron

tau, threshold = 2.0, 1.0
x = torch.tensor([1.5, 1.5, 0.0, 1.2, 1.9, 0.3, 2.5, 0.6, 1.3, 1.3])

v, charged, potentials, spikes = 0.0, [], [], []
for value in x.tolist():
    v = v + (value - v) / tau  # charge
    charged.append(v)
    spikes.append(float(v >= threshold))  # fire
    v = v * (1 - spikes[-1])  # reset
    potentials.append(v)
print(np.round(potentials, 3).tolist())
print(spikes)

# %% [markdown]
# SpikingJelly's neuron gives the same, step by step and all timesteps at once.

# %%
lif = neuron.LIFNode(tau=tau, v_threshold=threshold)
step_by_step = torch.stack([lif(value) for value in x])
lif.reset()
lif.step_mode, lif.store_v_seq = "m", True
at_once = lif(x.unsqueeze(1)).squeeze(1)  # [T,N] with N = 1
assert step_by_step.tolist() == at_once.tolist() == spikes
assert torch.allclose(lif.v_seq.squeeze(1), torch.tensor(potentials))

figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
axis.plot(charged, "o:", color="0.6", label="charged")
axis.plot(potentials, "o-", color="black", markersize=4, label="after the reset")
axis.axhline(threshold, color="0.6", linestyle="--", label="threshold")
axis.set(xlabel="timestep", ylabel="potential")
axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## Surrogate gradients
#
# A spike is a step function of the potential, whose derivative is 0 everywhere but at the threshold. In the backward
# pass another function's derivative stands in for it. Each of these has a width: far from the threshold nothing is
# learned.

# %%
from spikingjelly.activation_based import surrogate

from membrane.neurons.surrogates import Boxcar, FastSigmoid

distance = torch.linspace(-2, 2, 401)
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
for function, style in ((surrogate.ATan(), "-"), (surrogate.Sigmoid(), "--"), (FastSigmoid(), ":"), (Boxcar(), "-.")):
    u = distance.clone().requires_grad_()
    function(u).sum().backward()
    axis.plot(distance, u.grad, style, color="black", linewidth=1.2, label=type(function).__name__)
axis.set(xlabel="potential less threshold", ylabel="derivative", ylim=(0, 1.6))
axis.legend(fontsize="small")
plt.show()

# %% [markdown]
# By hand, for the arctangent with α = 2: α/2 / (1 + (π/2 · α · u)²).

# %%
u = torch.tensor([-0.5, 0.0, 0.25], requires_grad=True)
surrogate.ATan(alpha=2.0)(u).sum().backward()
assert torch.allclose(u.grad, 1 / (1 + (torch.pi * u.detach()) ** 2))
print(u.grad)

# %% [markdown]
# Through time the gradient goes back along the potential. Here an input that comes earlier changes the last potential
# less, by 1 − 1/τ a timestep, and not at all from before a spike, if the reset is detached.

# %%
x = torch.tensor([0.9, 0.9, 2.5, 0.5, 0.5, 0.5], requires_grad=True)
lif = neuron.LIFNode(tau=tau, detach_reset=True)
fired = [int(lif(value)) for value in x]
lif.v.backward()
print(fired)
print(x.grad)
assert torch.allclose(x.grad, torch.tensor([0, 0, 0, 1 / 8, 1 / 4, 1 / 2]), atol=1e-7)

# %% [markdown]
# ## Four frameworks
#
# The same network on the same image, repeated over four timesteps, one call at a time or all at once.

# %%
from membrane.framework import MultiStep, MultiStepTID, SingleStep
from membrane.models.smlp import SMLP
from membrane.readout import Mean

torch.manual_seed(0)
model = SMLP(input_shape=(1, 8, 8), classes=10, timesteps=4, neuron=neuron.LIFNode, units=[64]).eval()
image = 3 * torch.rand(1, 1, 8, 8)  # [N,C,H,W]
with torch.no_grad():
    outputs = SingleStep(4)(model, image)  # [T,N,K]
    assert torch.allclose(outputs, MultiStep(4)(model, image), atol=1e-6)
    frames = image.unsqueeze(1).expand(1, 4, 1, 8, 8)  # [N,T,C,H,W]: timesteps in the data
    assert torch.allclose(outputs, MultiStepTID(4)(model, frames), atol=1e-6)
print(outputs.shape, "→", Mean()(outputs).shape)
