"""Runs a script of the tests in processes of their own, and reads what each of them answers, in JSON."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

LIMIT = 240  # seconds: far more than any of them takes


def answers(script, *arguments, processes=1, ignored=()):
    """What each process wrote to its standard output; several know of each other as torch's launcher tells them.

    Warnings are errors there too, but for the `ignored` categories.
    """
    filters = ["-Werror", *(f"-Wignore::{category}" for category in ignored)]
    command = [sys.executable, *filters, str(Path(__file__).parent / script), *map(json.dumps, arguments)]
    known = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    if processes > 1:
        known |= {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    else:
        known = {name: value for name, value in known.items() if name not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    started = [
        subprocess.Popen(
            command,
            env={**known, "RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else known,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        told = [one.communicate(timeout=LIMIT) for one in started]
    finally:
        for one in started:
            one.kill()
    for one, (_, errors) in zip(started, told, strict=True):
        assert one.returncode == 0, errors[-4000:]
    return [json.loads(said.splitlines()[-1]) for said, _ in told]


def answer(script, *arguments, ignored=()):
    """What one process wrote."""
    return answers(script, *arguments, ignored=ignored)[0]


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
