"""On a worker of Dask: tasks with a time-out are done in a process beside it, which can be killed.

A thread of Dask's worker cannot be stopped from outside, and to end the whole worker would cost whatever else it holds.
So what does the work is the same process with a pipe as on one machine, with the same time-outs and retries.
"""

from __future__ import annotations

from lodewell.workers.base import Limits
from lodewell.workers.child import start_forkserver
from lodewell.workers.processes import Processes

_processes: dict[str, Processes] = {}  # of each map that goes on


def answer_apart(code: bytes, task_bytes: bytes, limits: Limits, name: str) -> bytes:
    """Let a process of this map do a pickled task, and return the pickled reply."""
    start_forkserver()
    return _processes.setdefault(name, Processes(1)).ask(code, task_bytes, limits)


def end_apart(name: str) -> None:
    """End the processes of a map, whatever they do."""
    if name in _processes:
        _processes.pop(name).close()
