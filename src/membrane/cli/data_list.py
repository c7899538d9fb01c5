"""The data sets as a list for people, for programs and for the documentation."""

from pathlib import Path
from typing import Any

from membrane.config.choices import Choice, choices
from membrane.config.composer import conf_folder
from membrane.data.origins import ORIGINS, Origin
from membrane.data.store.entries import cached_bytes, cached_sets
from membrane.errors import printable_text
from membrane.report.terminal import size_text

EXAMPLES = """\
for example:
  membrane data                                  # all data sets: size, terms, source, and whether they are there
  membrane data nmnist shd                       # fetch and cache two of them
  membrane data nmnist timesteps=20              # cache it under other settings
  membrane data --verify                         # compare originals and caches with their digests
  membrane data --clean nmnist                   # remove what was cached of one"""


def dataset_choices() -> list[Choice]:
    """Return the choices of ``dataset=`` that have an origin."""
    return [choice for choice in choices(conf_folder())["dataset"] if choice.name in ORIGINS]


def data_rows(root: Path) -> list[dict[str, Any]]:
    """Return what there is to say of every data set, as JSON."""
    return [
        {
            "name": choice.name,
            "what": choice.purpose,
            "bytes": origin.size,
            "licence": origin.licence,
            "page": origin.page,
            "obtained": obtained_how(origin),
            "folder": None if origin.bundled else str(root / origin.name),
            "present": not (missing := origin.missing(root)),
            "missing": missing,
            "begun_bytes": origin.begun_bytes(root),
            "cached_bytes": cached_bytes(root, choice.name),
        }
        for choice in dataset_choices()
        for origin in [ORIGINS[choice.name]]
    ]


def obtained_how(origin: Origin) -> str:
    """Return how one comes by a data set."""
    return "bundled" if origin.bundled else "downloaded" if origin.downloaded else "by hand"


def data_overview(root: Path) -> str:
    """Return two lines for each data set, and where they are looked for."""
    rows = data_rows(root)
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        cached = f", {size_text(row['cached_bytes'])} cached" if row["cached_bytes"] else ""
        facts = f"{size_text(row['bytes']):>7}  {state_text(row)}{cached}"
        lines += [f"{row['name']:<{width}}  {facts}; {row['licence']}", f"    {row['what']}", f"    {row['page']}"]
    others = [f"{name} {size_text(cached_bytes(root, name))}" for name in cached_sets(root) if name not in ORIGINS]
    lines += [f"also cached: {', '.join(others)}"] if others else []
    lines += ["", f"paths.data is {root}; membrane data NAME fetches and caches a data set"]
    return "\n".join(map(printable_text, lines))


def state_text(row: dict[str, Any]) -> str:
    """Return whether a data set is there, and how one comes by it if it is not."""
    if row["obtained"] == "bundled":
        return "bundled"
    if row["present"]:
        return "here"
    begun = f", {size_text(row['begun_bytes'])} of it begun" if row["begun_bytes"] else ""
    return f"to download{begun}" if row["obtained"] == "downloaded" else f"by hand: {', '.join(row['missing'])}"


def data_page() -> str:
    """Return the documentation's page on data sets, whole."""
    lines = [
        "# Data sets",
        "",
        "Written by `membrane data --markdown`; a test compares it with what the program knows.",
        "",
        "Original files are looked for in the folder of the data set's name below `paths.data` (`data`, or what the",
        "environment variable MEMBRANE_DATA says), and where torchvision, torchaudio and SpikingJelly keep them. What",
        "is missing is downloaded, resumed after a break, and used only if its digest is right; where a person has to",
        "fetch it, a line says what, and where to put it. Frames and features are computed once, and cached in",
        "`paths.data/.cache` or, where that cannot be written, in your own cache folder, which may be deleted at any",
        "time. Where neither can be written each start computes them anew.",
        "",
        "```bash",
        *(line.strip() for line in EXAMPLES.splitlines()[1:]),
        "```",
        "",
        "| `dataset=` | what | size | terms | obtained | page |",
        "|---|---|---|---|---|---|",
    ]
    for choice in dataset_choices():
        origin = ORIGINS[choice.name]
        cells = [size_text(origin.size), origin.licence, obtained_how(origin), f"[page]({origin.page})"]
        lines.append(f"| {' | '.join([f'`{choice.name}`', choice.purpose, *cells])} |")
    lines += [
        "",
        "Sizes are those of the files to be fetched, about. `dataset=arrays` reads your own.",
        "",
        "ASL-DVS (Bi et al. 2019) is not among them: its MATLAB files do not say which of its five people a recording",
        "is of, so that any division could have the same people in training and test; its archive has no fixed digest.",
    ]
    return "\n".join(lines)
