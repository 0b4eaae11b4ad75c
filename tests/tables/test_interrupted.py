"""Whatever ends a write (a kill, Ctrl-C, a full disk, a crash at a rename), the older table is whole or the new one."""

import itertools
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

import lrcore as lr
from lrcore.tables import TableError, open_table, save_table

OLD = lr.Linear(1.0, 0.0, 1000)
NEW = lr.Cosine(1.0, 0.0, 10**9)

WRITE_LONG = """
    import signal, sys
    import lrcore as lr
    from lrcore.tables import save_table
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which jobs in the background are started without
    print("ready", flush=True)
    save_table(lr.Cosine(1.0, 0.0, 10**9), sys.argv[1], 10**8, dtype="float32", threads=int(sys.argv[2]))
    print("finished", flush=True)
"""


def partials(folder):
    return [path for path in folder.iterdir() if path.name.endswith(".partial")]


def wait_until_it_writes(folder, process, least=1 << 20):
    """Until a megabyte of the new file is on the disk; the file itself may have its full length from the begin."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in partials(folder):
            if path.stat().st_blocks * 512 > least:
                return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    pytest.fail("nothing was written")


@pytest.fixture
def old(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    save_table(OLD, path, 1000)
    return path


@pytest.mark.parametrize("threads", [1, 2])
def test_a_kill_leaves_the_older_table(tmp_path, old, python, threads):
    process = python(WRITE_LONG, old, threads)
    wait_until_it_writes(tmp_path, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert process.stdout.read() == "ready\n"
    assert len(partials(tmp_path)) == 1
    assert open_table(old, schedule=OLD).values.tobytes() == OLD.table(1000).tobytes()
    save_table(NEW, old, 10)
    assert open_table(old, schedule=NEW)(5) == NEW(5)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_leaves_the_older_table_and_nothing_else(tmp_path, old, python, threads):
    before = {path.name for path in tmp_path.iterdir()}
    process = python(WRITE_LONG, old, threads)
    wait_until_it_writes(tmp_path, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert output == "ready\n"
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "ignored" not in errors
    assert {path.name for path in tmp_path.iterdir()} == before
    assert open_table(old, schedule=OLD).values.tobytes() == OLD.table(1000).tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_limit_on_the_size_of_files(tmp_path, old, python, threads):
    """As `ulimit -f`; the error is met in the midst of a .parquet, at once for the others."""
    before = {path.name for path in tmp_path.iterdir()}
    process = python(
        """
        import errno, gc, resource, sys
        import lrcore as lr
        from lrcore.tables import save_table
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, resource.RLIM_INFINITY))
        try:
            save_table(lr.Cosine(1.0, 0.0, 10**9), sys.argv[1], 10**7, threads=int(sys.argv[2]))
        except OSError as error:
            assert error.errno == errno.EFBIG, error
            print(error)
        gc.collect()
        """,
        old,
        threads,
    )
    output, errors = process.communicate(timeout=60)
    assert f"File too large; the table was not written: '{old}'" in output
    assert errors == ""
    assert {path.name for path in tmp_path.iterdir()} == before
    assert open_table(old, schedule=OLD).values.tobytes() == OLD.table(1000).tobytes()


MOUNT = 'mount -t tmpfs -o size=1m none "$0" && cd "$0" && exec "$@"'
IN_A_SMALL_DISK = ("unshare", "--mount", "--map-root-user", "sh", "-c", MOUNT)


def can_mount(folder):
    """Whether a file system of our own can be mounted, which some containers forbid."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*IN_A_SMALL_DISK, folder, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_a_disk_that_fills_up_in_the_midst(tmp_path, suffix, python, threads):
    """There is room when the write begins; then somebody else takes it."""
    if not can_mount(tmp_path):
        pytest.skip("no right to mount a file system")
    process = python(
        """
        import contextlib, errno, os, sys
        import lrcore as lr
        from lrcore.tables import open_table, save_table

        def somebody_else(event, arguments):
            if event == "open" and str(arguments[0]).endswith(".partial") and not os.path.exists("big"):
                with contextlib.suppress(OSError), open("big", "wb", buffering=0) as big:
                    while True:
                        big.write(bytes(4096))

        path, schedule = sys.argv[1], lr.InverseSqrt(1.0, 3)
        schedule.save_table(path, 10)
        before = set(os.listdir("."))
        sys.addaudithook(somebody_else)
        try:
            save_table(schedule, path, 100_000, threads=int(sys.argv[2]))
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            print(error)
        assert set(os.listdir(".")) == before | {"big"}
        assert open_table(path, schedule=schedule).record.length == 10
        os.truncate("big", 0)
        save_table(schedule, path, 100_000)
        assert open_table(path, schedule=schedule).record.length == 100_000
        """,
        f"table{suffix}",
        threads,
        prefix=(*IN_A_SMALL_DISK, tmp_path),
    )
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "No space left on device; the table was not written: 'table" in output


# --- a crash just before each rename

CRASH = """
    import itertools, os, signal, sys
    import lrcore as lr
    from lrcore.tables import save_table
    crash_at, renames = int(sys.argv[2]), itertools.count()

    def watch(event, arguments):
        if event == "os.rename" and next(renames) == crash_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    save_table(lr.Linear(float(sys.argv[3]), 0.0, 1000), sys.argv[1], 1000)
"""


def crash(python, path, rename, value):
    process = python(CRASH, path, rename, value)
    return process.wait() == -signal.SIGKILL


def opened(path):
    """The first value, opened in both ways; or the error."""
    found = opened_once(path, verify=True)
    assert opened_once(path, verify=False) == found
    return found


def opened_once(path, verify):
    try:
        table = open_table(path, verify=verify)
    except (TableError, FileNotFoundError) as error:
        return type(error)
    schedule = lr.Linear(table(0), 0.0, 1000)
    assert table.values.tobytes() == schedule.table(1000).tobytes()
    assert table.schedule == schedule
    return table(0)


def test_a_crash_at_each_rename_leaves_the_older_table_or_the_new_one(tmp_path, old, python):
    seen = []
    for rename in itertools.count():
        save_table(OLD, old, 1000)
        crashed = crash(python, old, rename, 0.5)
        seen.append(opened(old))
        if not crashed:
            break
        for path in partials(tmp_path):
            path.unlink()
    # The values change hands at one rename: of .npy's three at the second.
    assert seen == ([1.0, 1.0, 0.5, 0.5] if old.suffix == ".npy" else [1.0, 0.5])


def test_crash_after_crash_leaves_the_first_table(tmp_path, python):
    path = tmp_path / "table.npy"
    save_table(OLD, path, 1000)
    for value in (0.5, 0.25, 0.125):
        assert crash(python, path, 1, value)
        assert opened(path) == 1.0
    assert not crash(python, path, 9, 0.75)
    assert opened(path) == 0.75
    assert path.with_name("table.npy.json").read_text().count("lrcore.table") == 1


@pytest.mark.parametrize(("rename", "expected"), [(0, FileNotFoundError), (1, FileNotFoundError), (2, 0.5), (3, 0.5)])
def test_a_crash_where_there_was_no_table(tmp_path, python, rename, expected):
    path = tmp_path / "table.npy"
    assert crash(python, path, rename, 0.5) is (rename < 3)
    assert opened(path) == expected


@pytest.mark.parametrize(("rename", "expected"), [(0, TableError), (1, TableError), (2, 0.5), (3, 0.5)])
@pytest.mark.parametrize("sidecar", [None, "", '{"lrcore.table": "1"}'])
def test_a_crash_where_there_was_something_else(tmp_path, python, rename, expected, sidecar):
    """An array of the same shape is not taken for the new table, though its metadata is there already."""
    path = tmp_path / "table.npy"
    np.save(path, OLD.table(1000))
    if sidecar is not None:
        path.with_name("table.npy.json").write_text(sidecar)
    assert crash(python, path, rename, 0.5) is (rename < 3)
    assert opened(path) == expected
