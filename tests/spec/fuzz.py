"""A target for atheris: bytes as a file of each format. What comes out is a schedule or a SpecError, and soon.

    python tests/spec/fuzz.py -max_total_time=60

The first byte says which format. What is read is written again and read again, and has to be the same.
"""

import resource
import sys
from pathlib import Path

MEMORY = 4 << 30  # bytes of address space, more than numpy's threads and atheris want
SEEDS = [
    b'{"lrcore": 1, "type": "Sequence", "parts": [{"schedule": {"type": "Linear", "init_value": 0.0, "end_value": 0.1, '
    b'"steps": "5ep"}, "steps": "length"}, {"schedule": 0.1}]}',
    b'{"type": "Table", "dtype": "float32", "values": [0.1, 1e-3, 5e-324, -0.0, 1e999]}',
    b'{"type": "Table", "values": {"file": "../x.npy", "sha256": "00"}}',
    b'type = "Product"\n[[factors]]\ntype = "wsd"\npeak_value = 1\nwarmup_steps = "5%"\nsteps = "100%"\n'
    b'decay_steps = "2e9tok"\n[[factors]]\ntype = "Clip"\nschedule = 0.5\nmin = 1e-3\n',
    b"type: Interpolate\npoints: [[0, 1e-3], [5ep, .5]]\ncurve: cosine\n",
    b"type: Cycle\nschedule: {type: Piecewise, boundaries: [1, 30%], values: [1, 2, 3.], side: left}\n"
    b"period: 1_000 updates\nperiod_mult: 1.5\nmirror: true\ncount: 3\n",
]


def check(data: bytes) -> None:
    """One input."""
    from lrcore import _specfiles, spec

    if not data:
        return
    formats = list(_specfiles.FORMATS.values())
    form = formats[data[0] % 3]
    try:
        read = _specfiles.read(data[1:], form)
    except _specfiles.UnreadableError:
        return
    try:
        schedule = spec.from_dict(read)
    except spec.SpecError as error:
        check_errors(error)
        return
    written = _specfiles.write(spec.to_dict(schedule), form)
    again = spec.from_dict(_specfiles.read(written, form))
    assert again == schedule
    assert repr(again) == repr(schedule)
    assert again.fingerprint() == schedule.fingerprint()


def check_errors(error) -> None:
    """Errors are there, and none is longer than one can read."""
    assert error.errors
    assert all(isinstance(text, str) and len(text) < 2000 for pair in error.errors for text in pair), str(error)


def seeds(folder: Path) -> Path:
    for at, seed in enumerate(SEEDS):
        first = 1 if b" = " in seed else 0 if seed.startswith(b"{") else 2
        (folder / f"seed-{at}").write_bytes(bytes([first]) + seed)
    return folder


def words(path: Path) -> Path:
    """What a spec is made of, for atheris to put together."""
    from lrcore import _specschema, expression

    keys = {key for name in expression.NAMES for key in _specschema.arguments_of(name)}
    values = [
        "5ep",
        "30%",
        "2e9tok",
        "rest",
        "length",
        "1e-3",
        "-0.0",
        "1e100",
        "null",
        ".inf",
        "[[",
        "{",
        "&a",
        "*a",
        "!!",
    ]
    quoted = [word.replace("\\", "\\\\").replace('"', '\\"') for word in (*expression.NAMES, *keys, *values)]
    path.write_text("".join(f'"{word}"\n' for word in sorted(quoted)))
    return path


def main() -> None:
    import tempfile
    from importlib import import_module

    import atheris

    with atheris.instrument_imports(include=["lrcore", "json", "tomllib", "yaml"]):
        for module in ("yaml", "tomllib", "lrcore.spec"):
            import_module(module)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        limits = ["-timeout=20", "-max_len=1000", f"-rss_limit_mb={MEMORY >> 20}"]
        options = [f"-dict={words(Path(folder, 'words'))}", str(seeds(corpus))]
        atheris.Setup([sys.argv[0], *limits, *sys.argv[1:], *options], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
