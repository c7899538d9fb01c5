# %% [markdown]
# # Results in NumPy
#
# A run's results are plain files: JSON, CSV and `.npz`. Here four runs are read back and their learning curves drawn
# anew, with NumPy and matplotlib, which come with membrane. With pandas, which does not, `pandas.read_csv` reads the
# same files.
#
# Everything is written to a temporary folder. Leave the next cell out, and the training, for runs that you have.

# %%
import os
import tempfile

os.chdir(tempfile.mkdtemp())

# %%
from membrane.cli.main import main

for neuron in ("lif", "if"):
    for seed in (0, 1):
        chosen = [f"neuron={neuron}", f"seed={seed}", "epochs=6"]
        exit_code = main(["train", "model=smlp", *chosen, "timesteps=8", "logger=csv", "figures=false"])

# %% [markdown]
# ## One row a run
#
# `result.json` is written last, so a folder that has one holds a finished run.

# %%
import json
from pathlib import Path

runs = sorted(path.parent for path in Path("runs").glob("*/*/seed*/result.json"))
results = [json.loads((run / "result.json").read_text()) for run in runs]
for result in sorted(results, key=lambda each: (each["neuron"], each["seed"])):
    scores = result["metrics"]
    print(f"{result['neuron']} seed {result['seed']}: acc {scores['test/acc']:.3f}, loss {scores['test/loss']:.3f}")

# %% [markdown]
# ## Columns of metrics.csv
#
# Training has a row every few steps, validation one an epoch; the other cells are empty, so NaN here.

# %%
import numpy as np

table = np.genfromtxt(runs[0] / "metrics.csv", delimiter=",", names=True, deletechars="", encoding="utf-8")
print(table.dtype.names)
print(len(table), "rows, of which", np.isfinite(table["val/acc"]).sum(), "have a validation")

# %% [markdown]
# ## Learning curves, a band over seeds
#
# The line is the mean over seeds, the band goes from the smallest to the largest: of two seeds no more can be said.


# %%
def column(run, name):
    """Return a run's values of a column, one an epoch."""
    table = np.genfromtxt(run / "metrics.csv", delimiter=",", names=True, deletechars="", encoding="utf-8")
    return table[name][np.isfinite(table[name])]


import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for neuron, style, grey in (("lif", "-", "0.0"), ("if", "--", "0.45")):
    chosen = [run for run, result in zip(runs, results, strict=True) if result["neuron"] == neuron]
    for axis, name in zip(axes, ("val/loss", "val/acc"), strict=True):
        values = np.array([column(run, name) for run in chosen])  # [seeds,epochs]
        axis.fill_between(np.arange(values.shape[1]), values.min(0), values.max(0), color=grey, alpha=0.2, linewidth=0)
        axis.plot(values.mean(0), style, color=grey, label=neuron)
        axis.set(xlabel="epoch", ylabel=name)
axes[0].legend()
plt.show()

# %% [markdown]
# ## Two networks on the same samples
#
# `outputs/test.npz` has the output for every test sample, in the same order in every run. So runs can be compared
# sample by sample, which is sharper than comparing two accuracies.

# %%
right = []
for run in runs:
    with np.load(run / "outputs" / "test.npz") as saved:
        right.append(saved["output"].argmax(1) == saved["label"])
first, last = right[0], right[-1]
print(f"both right {np.sum(first & last)}, neither {np.sum(~first & ~last)}")
print(f"the first alone {np.sum(first & ~last)}, the last alone {np.sum(~first & last)}")

# %% [markdown]
# `main(["report", "runs"])` makes the table with intervals, and tests such differences.
