"""The nesting of a pickle, told from its opcodes before anything is built of it.

Python takes the hash of a tuple as a key by recursion in C, which no limit stops: tuples in one another, 100,000 deep,
end the process by a signal.
"""

import pickletools

DEPTH = 1000
"""Values in one another, at most; a checkpoint of torch's has some ten."""
ADDING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}
"""Opcodes that add to the value below what they take."""


def require_shallow_pickle(content: bytes) -> None:
    """Raise ValueError if values of a pickle lie too deep in one another, or if its opcodes cannot be followed."""
    if len(content) <= DEPTH:
        return
    try:
        deepest = deepest_value(content)
    except (IndexError, KeyError) as error:
        raise ValueError(f"its opcodes cannot be followed ({type(error).__name__})") from None
    if deepest > DEPTH:
        raise ValueError(f"nested more than {DEPTH} levels deep")


def deepest_value(content: bytes) -> int:
    """Return how deep the values of a pickle lie in one another at most, or one above `DEPTH` as soon as they do.

    Raises ValueError, IndexError or KeyError if it is no pickle.
    """
    stack: list[int] = []  # of each value the depth of what is in it
    marks: list[int] = []
    memo: dict[int, int] = {}
    deepest = 0
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name == "MEMOIZE" or opcode.name.endswith("PUT"):
            memo[len(memo) if argument is None else int(argument)] = stack[-1]
        elif opcode.name.endswith("GET"):
            stack.append(memo[int(argument or 0)])
        else:
            follow_opcode(opcode, stack, marks)
        deepest = max(deepest, stack[-1] if stack else 0)
        if deepest > DEPTH:
            break
    return deepest


def follow_opcode(opcode: pickletools.OpcodeInfo, stack: list[int], marks: list[int]) -> None:
    """Take from the stack of depths what an opcode takes from the stack of values, and put there what it puts."""
    first = len(stack)
    if pickletools.markobject in opcode.stack_before:
        first = marks.pop() - opcode.stack_before.index(pickletools.markobject)
    else:
        first -= len(opcode.stack_before)
    if first < 0:
        raise IndexError(opcode.name)
    taken = stack[first:]
    del stack[first:]
    if opcode.name in ADDING:
        stack.append(max(taken[0], 1 + max(taken[1:], default=0)))
    else:
        stack.extend([1 + max(taken, default=0)] * len(opcode.stack_after))
