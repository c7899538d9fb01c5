"""Calls to libraries in C that a damaged file can crash, or keep busy for ever: in processes of their own."""

import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from membrane.errors import DataError

PROCESSOR_SECONDS = 5
"""Of processor time that a call may take, whatever else the machine does; it should take a hundredth of that."""

Result = TypeVar("Result")


def limited_call(path: Path, function: Callable[[], Result]) -> Result:
    """Return what a function returns that reads a file, called in a process of its own.

    Raises DataError, with the file's name, if that dies or takes more than PROCESSOR_SECONDS, and what it raises.
    """
    fork = multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)
    process = fork.Process(target=send_answer, args=(sending, function), daemon=True)
    process.start()
    sending.close()
    try:
        answer: Result | DataError = receiving.recv()
    except EOFError:
        raise DataError(f"{path}: damaged: the library that reads it crashed, or did not come to an end") from None
    finally:
        receiving.close()
        process.join()
    if isinstance(answer, DataError):
        raise answer
    return answer


def send_answer(sending: Connection, function: Callable[[], object]) -> None:
    """Send what a function returns, or its DataError, unless this process, a new one, takes too long."""
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    try:
        answer = function()
    except DataError as error:
        answer = error
    sending.send(answer)
