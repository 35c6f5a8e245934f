"""Tasks that do to their workers whatever engines do."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def sleep_for_ever(x):
    while True:
        time.sleep(1000.0)


def hold_the_lock_for_ever(x):
    """Stay in compiled code that no other thread of the process can interrupt."""
    ctypes.PyDLL(None).pause()


def hang_deaf_to_polite_signals(x):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sleep_for_ever(x)


def wait_for_an_engine(x, folder):
    """Start a program that outlives its parent, as codes of electronic structure do, and wait for it."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"]) as engine:
        Path(folder, "engine").write_text(str(engine.pid))
        engine.wait()


def on_three(x, what):
    """Do it on task 3 only."""
    if x == 3:
        what(x)
    return x


def exit_at_once(x):
    os._exit(1)


def kill_itself(x):
    os.kill(os.getpid(), signal.SIGKILL)


def fail(x):
    raise ValueError("three is not allowed")


def counted(x, what, folder):
    """Do it on task 3, and keep a file a try."""
    if x == 3:
        (Path(folder) / f"{time.monotonic_ns()}.try").touch()
        what(x)
    return x


def hang_once(x, folder):
    if x == 3 and not (marker := Path(folder, "hung")).exists():
        marker.touch()
        sleep_for_ever(x)
    return x


def rest(x):
    time.sleep(x)
    return os.getpid()
