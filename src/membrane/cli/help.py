"""What `--help` prints, read from the folder of choices and the schema."""

from pathlib import Path

from membrane.config.composer import folder
from membrane.schema import Config

EXAMPLES = (
    ("python train.py", "a spiking CNN on the bundled digits"),
    ("python train.py framework=multistep_tid", "the same on bundled event-camera recordings"),
    ("python train.py neuron=plif surrogate=atan optimizer.lr=0.003", "another neuron, surrogate and rate"),
    ("python train.py dataset=fashion_mnist model=smlp timesteps=8", "another data set and model"),
    ("python train.py augmentation=[shift,cutout] callbacks=[ema]", "several choices of one group"),
    (
        "python train.py -m framework=singlestep,multistep seed=0,1,2",
        "a sweep; started again, it skips what is finished",
    ),
)
SCALARS = {
    "timesteps": "T, how often a neuron is stepped for one sample",
    "seed": "of everything random but the split, which dataset.split_seed fixes",
    "name": "the folder under paths.runs",
    "epochs": "passes over the training part",
    "batch_size": "samples a step, over all devices",
    "protocol": "val_best, last or paper_best_on_test",
    "precision": "32-true, bf16-mixed, 16-mixed or auto, the fastest that is safe here",
    "threads": "of the processor; part of what makes a run repeatable to the bit",
    "log_every": "steps between training rows of metrics.csv",
    "save_outputs": "readout, or all for every timestep's outputs of the test set",
    "figures": "draw the run's figures at its end; a second's work",
    "rerun": "move a finished run aside and run it again",
    "keep_going": "start a sweep's good jobs though others were refused",
    "max_time": "stop with a checkpoint so long after the start, as 45s, 10m or 1h30m",
    "on_oom": "fail, or halve: cut batches that do not fit the memory, and accumulate",
    "init": "a run or checkpoint whose weights this one starts from",
    "extend": "a finished run that this one continues, with more epochs",
    "trust": "your own classes that may be built, as [package.Class]",
    "paths.data": "where data sets lie; or the environment variable MEMBRANE_DATA",
    "paths.runs": "where runs go",
    "paths.run": "one run's folder, outright",
}


def text() -> str:
    """The whole help page."""
    groups = choices(folder())
    width = max(map(len, groups))
    lines = [
        "membrane trains spiking neural networks: a framework (how time is unrolled), a model, a neuron and a data set",
        "are chosen on the command line; the result lies in runs/<name>/<fingerprint>/seed<seed>/.",
        "",
        "usage: python train.py [group=choice | setting=value]...      (membrane-train, once installed)",
        "",
        "groups and their choices (a group's settings: group.setting=value; see them with --cfg job)",
        *(f"  {group:<{width}}  {wrapped(names, width + 4)}" for group, names in groups.items()),
        "",
        "settings and their defaults",
        *(f"  {name + '=' + default(name):<24}  {meaning}" for name, meaning in SCALARS.items()),
        "",
        "examples",
        *(f"  {command}\n      {meaning}" for command, meaning in EXAMPLES),
        "",
        "  -m  sweep over comma-separated values     --cfg job  print the configuration",
        "  --config-dir DIR  add choices of your own",
    ]
    return "\n".join(lines)


def choices(conf: Path) -> dict[str, list[str]]:
    """Group → its choices."""
    groups = (path for path in sorted(conf.iterdir()) if path.is_dir() and path.name not in ("hydra", "local"))
    return {path.name: sorted(file.stem for file in path.glob("*.yaml")) for path in groups}


def wrapped(names: list[str], indent: int, width: int = 110) -> str:
    """Names in lines of at most ``width``, continued under the first."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) + indent >= width:
            lines.append("")
        lines[-1] += f"{name} "
    return f"\n{' ' * indent}".join(line.rstrip() for line in lines)


def default(name: str) -> str:
    """A setting's default as it is typed."""
    special = {"name": "<the data set's>", "paths.data": "data", "paths.runs": "runs", "paths.run": "null"}
    if name in special:
        return special[name]
    value = Config.model_fields[name].default
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
