"""The page that `--help` prints, read from conf/ and the schema."""

import shlex
from collections.abc import Iterator

from membrane.config.choices import as_typed, choices
from membrane.config.composer import conf_folder
from membrane.runs.provenance import program_command
from membrane.schema import Config, Paths, Settings

EXAMPLES = (
    ("", "a spiking CNN on the bundled digits"),
    ("framework=multistep_tid", "the same on bundled event-camera recordings"),
    ("neuron=plif surrogate=atan optimizer.lr=0.003", "another neuron, surrogate and rate"),
    ("dataset=fashion_mnist model=smlp timesteps=8", "another data set and model"),
    ("augmentation=[shift,cutout] callbacks=[ema]", "several choices of one group"),
    (
        "-m framework=singlestep,multistep seed=0,1,2",
        "a sweep; started again, it skips what is finished",
    ),
)


def help_page() -> str:
    """Return the whole help page."""
    groups = {group: [choice.name for choice in listed] for group, listed in choices(conf_folder()).items()}
    width = max(map(len, groups))
    called = shlex.join(program_command())
    lines = [
        "membrane trains spiking neural networks: a framework (how time is unrolled), a model, a neuron and a data set",
        "are chosen on the command line; the result lies in runs/<name>/<fingerprint>/seed<seed>/.",
        "",
        f"usage: {called} [group=choice | setting=value]...",
        "",
        "groups and their choices (membrane models GROUP says what each is for; group.setting=value sets one up)",
        *(f"  {group:<{width}}  {wrapped_names(names, width + 4)}" for group, names in groups.items()),
        "",
        "settings and their defaults",
        *(f"  {name + '=' + default:<24}  {meaning}" for name, default, meaning in described_settings()),
        "",
        "examples",
        *(f"  {called} {arguments}".rstrip() + f"\n      {meaning}" for arguments, meaning in EXAMPLES),
        "",
        "  -m  sweep over comma-separated values     --cfg job  print the configuration",
        "  --config-dir DIR  add choices of your own",
    ]
    return "\n".join(lines)


def wrapped_names(names: list[str], indent: int, width: int = 110) -> str:
    """Return names in lines of at most ``width`` columns, the further ones indented under the first."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) + indent >= width:
            lines.append("")
        lines[-1] += f"{name} "
    return f"\n{' ' * indent}".join(line.rstrip() for line in lines)


def described_settings(settings_class: type[Settings] = Config, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (name, default as it is typed, description) of each setting that the schema describes."""
    for name, field in settings_class.model_fields.items():
        if name == "paths":
            yield from described_settings(Paths, "paths.")
        elif field.description:
            default = "<the data set's>" if field.is_required() else as_typed(field.default)
            yield f"{prefix}{name}", default, field.description
