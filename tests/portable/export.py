"""Writes the golden tables as C, for machines without Python: `python export.py FOLDER`, with tests/ on the path.

FOLDER gets `goldens.h`, the compiled programs as initialisers of C; `expected`, the lines that main.c has to print
after its first; and `flags`, the compiler flags of setup.py.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from golden import SMOOTH_BETA, SMOOTH_LENGTH, TABLES, Golden, stored

ROOT = Path(__file__).parents[2]


def flags() -> list[str]:
    """The flags that setup.py gives to GCC: read, not run."""
    for statement in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "UNIX_FLAGS":
            return [str(flag) for flag in ast.literal_eval(statement.value)]
    raise LookupError("setup.py: no UNIX_FLAGS")


def expected() -> list[str]:
    return [f"{sha256} {name}" for name, sha256 in stored().items()]


# ---- C ----


def as_c(number: float) -> str:
    """A float as a constant of C, to the bit; an infinity as the macro of math.h."""
    return float(number).hex().replace("inf", "INFINITY")


def array_of(kind: str, name: str, numbers: Iterable[str]) -> str:
    return f"static const {kind} {name}[] = {{{', '.join(numbers)}}};"


def node(row, prefix: str) -> tuple[list[str], str]:
    """The arrays of a row, and the initialiser of its node, which names them."""
    kind, init, end, shape, span, children, marks, data, is_mirror, count = row
    fields = {"kind": kind, "init": as_c(init), "end": as_c(end), "shape": as_c(shape), "span": as_c(span)}
    arrays = []
    if children is not None:
        arrays.append(array_of("int32_t", f"{prefix}_children", map(str, children)))
        fields |= {"children": f"{prefix}_children", "child_count": len(children)}
    if marks is not None:
        arrays.append(array_of("int64_t", f"{prefix}_marks", (f"{mark}ll" for mark in marks)))
        fields |= {"marks": f"{prefix}_marks", "mark_count": len(marks)}
    if data is not None:
        is_float = memoryview(data).itemsize == 4
        arrays.append(array_of("float" if is_float else "double", f"{prefix}_data", map(as_c, data)))
        fields |= {"data": f"{prefix}_data", "data_count": len(data), "is_float": int(is_float)}
    fields |= {"is_mirror": int(is_mirror), "count": count}
    return arrays, "{" + ", ".join(f".{key} = {value}" for key, value in fields.items()) + "}"


def program(table: Golden, prefix: str) -> Iterator[str]:
    """The arrays of a compiled schedule and its nodes."""
    rows = table.schedule._rows()
    nodes = []
    for place, row in enumerate(rows):
        arrays, initialiser = node(row, f"{prefix}_{place}")
        yield from arrays
        nodes.append(f"    {initialiser},")
    yield f"static lr_node {prefix}[] = {{"
    yield from nodes
    yield "};"


def source() -> Iterator[str]:
    entries, room = [], "." * 64
    for number, table in enumerate(TABLES):
        prefix = f"program_{number}"
        yield from program(table, prefix)
        line, count = f'(char[]){{"{room} {table.name}"}}', f"sizeof {prefix} / sizeof *{prefix}"
        entries.append(f"    {{{line}, {prefix}, {count}, {table.start}ll, {table.length}ll}},")
    yield "static const golden goldens[] = {"
    yield from entries
    yield "};"
    yield f"#define SMOOTH_BETA {as_c(SMOOTH_BETA)}"
    yield f"#define SMOOTH_LENGTH {SMOOTH_LENGTH}"


def write(folder: Path) -> None:
    for name, lines in {"goldens.h": source(), "expected": expected(), "flags": flags()}.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
