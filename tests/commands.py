"""The program's commands as functions, for tests: a command line's exit code, without a new process."""

from collections.abc import Sequence

from membrane.cli.main import main


def train(arguments: Sequence[str]) -> int:
    return main(["train", *arguments])


def evaluate(arguments: Sequence[str]) -> int:
    return main(["evaluate", *arguments])


def models(arguments: Sequence[str]) -> int:
    return main(["models", *arguments])


def status(arguments: Sequence[str]) -> int:
    return main(["status", *arguments])


def bench(arguments: Sequence[str]) -> int:
    return main(["bench", *arguments])


def data(arguments: Sequence[str]) -> int:
    return main(["data", *arguments])
