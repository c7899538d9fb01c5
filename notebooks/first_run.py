# %% [markdown]
# # A first run
#
# We train a small spiking network on handwritten digits, then look inside: which neurons spike, and what their membrane
# potentials do before that. It takes less than a minute on two CPU cores.
#
# Everything is written to a temporary folder. Leave the next cell out to keep the run under `runs/`.

# %%
import os
import tempfile

os.chdir(tempfile.mkdtemp())

# %% [markdown]
# ## Train
#
# `main([...])` takes the words that you would type after `membrane` on the command line. `train` takes groups
# (`model=smlp`) and settings (`timesteps=16`). The digits come with scikit-learn, so nothing is downloaded.

# %%
from membrane.cli.main import main

exit_code = main(["train", "model=smlp", "neuron=lif", "timesteps=16", "epochs=10", "logger=csv", "figures=false"])

# %% [markdown]
# ## Load the run
#
# A run lives in a folder. `membrane.load` rebuilds the network from it, with the weights of the best checkpoint.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from spikingjelly.activation_based import neuron

import membrane
from membrane.data.digits import Digits

[run] = Path("runs/digits").glob("*/seed0")
learner = membrane.load(run).eval()
print(learner.model)

# %% [markdown]
# ## One sample
#
# `framework(model, x)` takes images `[N,C,H,W]` and returns the outputs `[T,N,K]` of K classes at T timesteps. Under
# the default framework, multi-step, x is repeated over time, and each layer sees all timesteps at once.

# %%
_, test = Digits().load(Path("data"), timesteps=16)
sample = 0
x = test.x[sample : sample + 1].float() * test.scale

lif = next(module for module in learner.model.modules() if isinstance(module, neuron.LIFNode))
lif.store_v_seq = True  # keep the potential of every timestep
spikes = []
hook = lif.register_forward_hook(lambda module, inputs, output: spikes.append(output))
with torch.no_grad():
    outputs = learner.framework(learner.model, x)
hook.remove()

spikes = spikes[0][:, 0].numpy()  # [T, neurons]
potentials = lif.v_seq[:, 0].numpy()  # [T, neurons], after the reset
prediction = int(learner.readout(outputs)[0].argmax())
print(f"label {int(test.y[sample])}, prediction {prediction}; {spikes.mean():.1%} of the outputs are spikes")

# %% [markdown]
# ## Spikes
#
# Left, the image. Middle, a raster: a dot for each spike. The input is the same at every timestep, so most neurons fire
# regularly or not at all. Right, the outputs: the class with the largest mean over time is the prediction.

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.2), width_ratios=[1, 2, 2], layout="constrained")
left.imshow(x[0, 0], cmap="gray_r")
left.set(title=f"a {int(test.y[sample])}", xticks=[], yticks=[])
step, fired = np.nonzero(spikes)
middle.scatter(step, fired, s=4, color="black")
middle.set(title="spikes", xlabel="timestep", ylabel="neuron")
for k, line in enumerate(outputs[:, 0].T):
    right.plot(line, color="tab:red" if k == prediction else "0.8", label=f"class {k}" if k == prediction else None)
right.set(title="outputs", xlabel="timestep")
right.legend()
plt.show()

# %% [markdown]
# ## Membrane potentials
#
# Three neurons: the one that spikes most, the one that spikes least, and the silent one that comes nearest to it. A LIF
# neuron leaks and is charged by its input. Where its potential reaches the threshold it spikes and is reset to 0, so
# the curve, which is drawn after the reset, stays below.

# %%
counts, peaks = spikes.sum(0), potentials.max(0)
chosen = {
    "most spikes": counts.argmax(),
    "fewest spikes": np.where(counts > 0, counts, np.inf).argmin(),
    "none": np.where(counts == 0, peaks, -np.inf).argmax(),
}
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8), sharey=True, layout="constrained")
for axis, (name, number) in zip(axes, chosen.items(), strict=True):
    axis.plot(potentials[:, number], color="tab:blue", label="potential")
    axis.axhline(lif.v_threshold, color="0.6", linestyle="--", label="threshold")
    axis.vlines(np.nonzero(spikes[:, number])[0], lif.v_threshold, lif.v_threshold + 0.25, color="black", label="spike")
    axis.set(title=f"{name}: neuron {number}", xlabel="timestep", xticks=range(0, len(spikes), 4))
axes[0].legend(loc="lower right", fontsize="small")
plt.show()

# %% [markdown]
# ## Go on
#
# - Other timesteps, the same weights: `main(["evaluate", str(run), "timesteps=1,2,4,8"])`.
# - Another neuron: `neuron=plif` learns its time constant, `neuron=if` does not leak.
# - Data that change over time: `framework=multistep_tid` trains on the digits as an event camera sees them.
# - What can be chosen, and what each choice is for: `main(["models"])`.
