"""Data sets of sound."""

from membrane.data.origins.origin import Origin, SourceFile

TENSORFLOW = "http://download.tensorflow.org/data"  # torchaudio's
GOOGLE = "https://storage.googleapis.com/download.tensorflow.org/data"  # SpikingJelly's
CLONES = ("free-spoken-digit-dataset", "free-spoken-digit-dataset-master")
"""Folders that git and GitHub make of FSDD."""

SOUND = (
    Origin(
        name="fsdd",
        licence="CC BY-SA 4.0",
        page="https://github.com/Jakobovski/free-spoken-digit-dataset",
        size=15_000_000,
        folders=(*(f"{folder}{name}" for folder in ("", "fsdd/") for name in CLONES), ""),
        files=(
            SourceFile(
                "free-spoken-digit-dataset-1.0.10.tar.gz",  # GitHub packs it anew, so that no digest is published
                urls=("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",),
                unpacked="free-spoken-digit-dataset-1.0.10",
                forms=("recordings/",),
            ),
        ),
    ),
    Origin(
        name="speech_commands",
        licence="CC BY 4.0",
        page="https://www.tensorflow.org/datasets/catalog/speech_commands",
        size=2_428_923_189,  # of version 2, the default; version 1 has 1,489,096,277
        folders=("", "SpeechCommands"),
        files=(
            SourceFile(
                "speech_commands_v0.02.tar.gz",
                # torchaudio 2.11.0, datasets/speechcommands.py
                "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                urls=(f"{GOOGLE}/speech_commands_v0.02.tar.gz", f"{TENSORFLOW}/speech_commands_v0.02.tar.gz"),
                unpacked="speech_commands_v0.02",
                forms=("speech_commands_v0.02/testing_list.txt",),  # not straight in the folder: either version may be
            ),
            SourceFile(
                "speech_commands_v0.01.tar.gz",
                # torchaudio 2.11.0, datasets/speechcommands.py
                "sha256:743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
                urls=(f"{GOOGLE}/speech_commands_v0.01.tar.gz", f"{TENSORFLOW}/speech_commands_v0.01.tar.gz"),
                unpacked="speech_commands_v0.01",
                forms=("speech_commands_v0.01/testing_list.txt",),  # not straight in the folder: either version may be
                optional=True,
            ),
        ),
    ),
)
