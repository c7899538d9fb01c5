# %% [markdown]
# # Your own data
#
# Arrays of your own, from NumPy to a trained network and its mistakes. It takes less than a minute on two CPU cores.
#
# Everything is written to a temporary folder. Leave the next cell out to keep it.

# %%
import os
import tempfile

os.chdir(tempfile.mkdtemp())

# %% [markdown]
# ## The arrays
#
# Signals are `[n,S,C]`: n samples of S values in C channels. Images are `[n,H,W,C]`. Labels count from 0. Here a
# person walks, in three ways, with two sensors; replace this cell by what loads your own measurements.

# %%
import numpy as np

rng = np.random.default_rng(0)
time = np.linspace(0, 2, 100)  # two seconds
frequencies = np.array([0.8, 1.2, 1.8])  # steps a second: slow, normal, fast


def walks(count):
    """Return signals [count,100,2], labels [count] and the number of the person [count]."""
    y, person = rng.integers(0, 3, count), rng.integers(0, 20, count)
    phase = 2 * np.pi * (frequencies[y] * (1 + 0.006 * (person - 10)))[:, None] * time
    phase = phase + rng.uniform(0, 2 * np.pi, (count, 1))
    x = np.stack([np.sin(phase), np.cos(2 * phase)], axis=-1) + rng.normal(0, 1.4, (count, len(time), 2))
    return x.astype("float32"), y, person


x, y, person = walks(1500)
unseen = person >= 16  # these four people are for the test alone
np.savez(
    "walks.npz",
    x_train=x[~unseen],
    y_train=y[~unseen],
    group_train=person[~unseen],
    x_test=x[unseen],
    y_test=y[unseen],
    group_test=person[unseen],
)

# %% [markdown]
# `group_train` says whose a sample is: nobody's are divided between training and validation. Nothing else need be
# said; shape and classes are read from the file.
#
# ## Train

# %%
from membrane.cli.main import main

words = "train dataset=arrays dataset.path=walks.npz name=walks model=smlp epochs=8 logger=csv figures=false"
exit_code = main(words.split())

# %% [markdown]
# ## A mistake is answered in a line
#
# Labels with a fraction, which would be targets of a regression:

# %%
np.savez("wrong.npz", x_train=x[:10], y_train=y[:10] + 0.5, x_test=x[10:20], y_test=y[10:20] + 0.5)
exit_code = main(["train", "dataset=arrays", "dataset.path=wrong.npz"])

# %% [markdown]
# ## Mistakes of the network
#
# The run's folder has the output for each test sample, beside its label and its group.

# %%
from pathlib import Path

import matplotlib.pyplot as plt

[run] = Path("runs/walks").glob("*/seed0")
with np.load(run / "outputs" / "test.npz") as saved:
    output, label, group = saved["output"], saved["label"], saved["group"]
right = output.argmax(1) == label
people = np.unique(group)
share = [right[group == number].mean() for number in people]

figure, (left, middle) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
left.bar([str(number) for number in people], share, color="0.6")
left.set(title="people who were not trained on", xlabel="person", ylabel="accuracy", ylim=(0, 1.05))
hardest = (output[np.arange(len(label)), label] - np.where(np.eye(3)[label] == 1, -np.inf, output).max(1)).argmin()
middle.plot(time, x[unseen][hardest], label=["sensor 1", "sensor 2"])
middle.set(title=f"the hardest one: {label[hardest]}, taken for {output[hardest].argmax()}", xlabel="seconds")
middle.set(ylabel="signal")
middle.legend()
plt.show()

# %% [markdown]
# ## Go on
#
# - Data with timesteps, `[n,T,S,C]`: `framework=multistep_tid dataset.timesteps_in_data=true`.
# - Series of different lengths: `length_train`, or a `.ts` file. Long ones: `dataset.window=128 dataset.stride=64`.
# - Each person in turn as the test: `dataset.leave_out`.
# - Labels for new files: `main(["predict", str(run), "new.npz"])`.
