# %% [markdown]
# # Results in pandas
#
# A run's results are plain files: JSON, CSV and `.npz`. Here six runs, two neurons with three seeds each, are read into
# tables, summarised over seeds and drawn anew. membrane itself does without pandas: `pip install pandas`.
#
# Everything is written to a temporary folder. Leave the next two cells out for runs that you have.

# %%
import os
import tempfile

os.chdir(tempfile.mkdtemp())

# %%
from membrane.cli.main import main

for neuron in ("lif", "if"):
    for seed in (0, 1, 2):
        chosen = [f"neuron={neuron}", f"seed={seed}", "epochs=6"]
        exit_code = main(["train", "model=smlp", *chosen, "timesteps=8", "logger=csv", "figures=false"])

# %% [markdown]
# ## One row a run
#
# `result.json` is written last, so a folder that has one holds a finished run. A nested entry becomes a column with a
# dot: `metrics.test/acc`.

# %%
import json
from pathlib import Path

import pandas as pd

folders = sorted(path.parent for path in Path("runs").glob("*/*/seed*/result.json"))
results = pd.json_normalize([json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in folders])
results[["fingerprint", "neuron", "seed", "best.epoch", "metrics.test/acc", "metrics.test/loss"]].round(4)

# %% [markdown]
# ## Mean and standard deviation over seeds
#
# Runs that differ in nothing but the seed have the same fingerprint. Grouping by it never mixes settings; the neuron
# beside it is for the reader.

# %%
setting = ["fingerprint", "neuron"]
scores = results.groupby(setting)["metrics.test/acc"].agg(["count", "mean", "std"])
for (_, neuron), row in scores.iterrows():
    print(f"{neuron}: test accuracy {100 * row['mean']:.2f} ± {100 * row['std']:.2f} %, {row['count']:.0f} seeds")

# %% [markdown]
# ## metrics.csv of all runs in one table
#
# Training has a row every few steps, validation one an epoch; the other cells are empty, so NaN here.

# %%
tables = [pd.read_csv(folder / "metrics.csv") for folder in folders]
metrics = pd.concat(tables, keys=results.index, names=["run", "row"]).join(results[[*setting, "seed"]], on="run")
validated = metrics.dropna(subset="val/acc")
print(len(metrics), "rows, of which", len(validated), "have a validation")
validated[["neuron", "seed", "epoch", "val/loss", "val/acc"]].head(6).round(4)

# %% [markdown]
# ## A learning curve with a band over seeds
#
# The line is the mean over seeds, the band one standard deviation to either side. The figure is written as a file too.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for axis, name in zip(axes, ("val/loss", "val/acc"), strict=True):
    curves = validated.groupby([*setting, "epoch"])[name].agg(["mean", "std"])
    for (_, neuron), curve in curves.groupby(setting):
        epoch, mean, std = curve.index.get_level_values("epoch"), curve["mean"], curve["std"]
        style, grey = {"lif": ("-", "0.0"), "if": ("--", "0.45")}[neuron]
        axis.fill_between(epoch, mean - std, mean + std, color=grey, alpha=0.2, linewidth=0)
        axis.plot(epoch, mean, style, color=grey, label=neuron)
    axis.set(xlabel="epoch", ylabel=name)
axes[0].legend()
figure.savefig("learning_curves.png", dpi=200)
plt.show()

# %% [markdown]
# ## Two networks on the same samples
#
# `outputs/test.npz` has the output for every test sample, in the same order in every run. So runs can be compared
# sample by sample, which is sharper than comparing two accuracies.

# %%
import numpy as np

right = {}
for folder, neuron, seed in zip(folders, results["neuron"], results["seed"], strict=True):
    with np.load(folder / "outputs" / "test.npz") as saved:
        right[neuron, seed] = saved["output"].argmax(1) == saved["label"]
pd.crosstab(pd.Series(right["lif", 0], name="lif right"), pd.Series(right["if", 0], name="if right"))

# %% [markdown]
# `main(["report", "runs"])` makes the table with intervals, and tests such differences.
