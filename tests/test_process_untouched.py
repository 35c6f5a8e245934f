"""A call of the library leaves the process as it was: threads, random numbers, signals, warnings, files, memory."""

import ctypes
import decimal
import gc
import importlib
import inspect
import locale
import logging
import multiprocessing
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path

import numba
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

import lodewell
from lodewell.potentials.pairs.pair import Morse

# What other packages do when they are imported is theirs, not that of a call.
for name in ("matplotlib.figure", "matplotlib.backends.backend_agg", "phonopy", "pymatgen.core", "spglib"):
    with suppress(ImportError):
        importlib.import_module(name)
numba.get_num_threads()  # starts them, if nobody has
try:
    import torch
    import torch._dynamo
except ImportError:
    torch = None

SIGNALS = [number for number in signal.Signals if number not in (signal.SIGKILL, signal.SIGSTOP)]
NO_VERBS = {
    "load",
    "load_model",
    "shipped",
    "neighbour_list",
}  # they only look something up, and are called by the others

ROOT = Path(__file__).parents[1]


def shaken(atoms: Atoms, seed: int) -> Atoms:
    atoms = atoms.copy()
    atoms.rattle(0.1, rng=np.random.default_rng(seed))
    return atoms


def labelled(seed: int) -> Atoms:
    atoms = shaken(bulk("Si", "diamond", a=5.43, cubic=True), seed)
    atoms.calc = Morse({"Si-Si": (0.5, 1.7, 2.4)}, cutoff=5.0).calculator()
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Crystals, labelled frames, and crystals with a property."""
    place = tmp_path_factory.mktemp("untouched")
    salts = [bulk("NaCl", "rocksalt", a=5.5 + 0.02 * k) for k in range(4)]
    write(place / "salts.extxyz", salts)
    write(place / "frames.extxyz", [labelled(k) for k in range(12)])
    known = [
        bulk(f"{metal}{other}", form, a=edge + 0.02 * k)
        for k in range(3)
        for form, edge in (("rocksalt", 5.2), ("zincblende", 5.6), ("cesiumchloride", 3.4))
        for metal in ("Li", "Na", "K")
        for other in ("F", "Cl", "Br")
    ]
    for atoms in known:
        atoms.info["density"] = float(atoms.get_masses().sum() / atoms.get_volume())
    write(place / "known.extxyz", known)
    return place


def fit_gap(folder):
    lodewell.fit_gap(folder / "frames.extxyz", points=10)


def fit_meam(folder):
    options = lodewell.MEAMOptions(restarts=2, members=1, most_steps=2)
    lodewell.fit_meam(folder / "frames.extxyz", options)


def train(folder):
    options = lodewell.TrainOptions(
        properties=("density",), members=1, epochs=1, batch_size=16,
        settings={"width": 8, "channels": 8, "layers": 1, "charges": 1}, validation=0.2, lr="auto",
        cache=folder / "cache",
    )  # fmt: skip
    lodewell.train(folder / "known.extxyz", folder / "trained", options=options)


CALLS = {
    "check": lambda folder: lodewell.check("spp", bulk("MgO", "rocksalt", a=4.21)),
    "check_potential": lambda folder: lodewell.check_potential(Morse({"Si-Si": (0.5, 1.7, 2.4)}, cutoff=5.0)),
    "compare": lambda folder: lodewell.compare(["spp", "spp-2024"], folder / "frames.extxyz", seconds=0.01, atoms=100),
    "derive": lambda folder: lodewell.derive(folder / "known.extxyz", out=folder / "mine.lodewell"),
    "export": lambda folder: lodewell.export("spp", to="csv", elements="Na,Cl", out=folder / "curves"),
    "fit_gap": fit_gap,
    "fit_meam": fit_meam,
    "fit_uf": lambda folder: lodewell.fit_uf(folder / "frames.extxyz"),
    "lattice_sum": lambda folder: lodewell.lattice_sum(bulk("NaCl", "rocksalt", a=5.64)),
    "lattice_sum_gradients": lambda folder: lodewell.lattice_sum_gradients(bulk("NaCl", "rocksalt", a=5.64)),
    "load": lambda folder: lodewell.load("spp"),
    "load_model": lambda folder: lodewell.load_model(),
    "map_crystals": lambda folder: lodewell.map_crystals(folder / "known.extxyz"),
    "neighbour_list": lambda folder: lodewell.neighbour_list(bulk("NaCl", "rocksalt", a=5.64), 5.0),
    "predict": lambda folder: lodewell.predict(folder / "salts.extxyz"),
    "read_labels": lambda folder: list(lodewell.read_labels(folder / "frames.extxyz")),
    "relax": lambda folder: list(lodewell.relax(folder / "salts.extxyz")),
    "score": lambda folder: lodewell.score(folder / "salts.extxyz"),
    "shipped": lambda folder: lodewell.shipped(),
    "show": lambda folder: lodewell.show("spp", ["Na-Cl"], folder / "curves.png"),
    "test": lambda folder: lodewell.test("spp", folder / "frames.extxyz"),
    "train": train,
}  # fmt: skip


@pytest.fixture
def unusual_state():
    """A process that is set as no default is, so that a call that sets a default is caught."""
    before, state = signal.getsignal(signal.SIGUSR1), random.getstate()
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    random.seed(11)
    legacy = np.random.get_state()
    np.random.seed(12)
    threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(3)
        torch.manual_seed(13)
    with warnings.catch_warnings(), decimal.localcontext(prec=17), np.errstate(over="ignore"):
        warnings.filterwarnings("error", "nothing says this")
        with np.printoptions(precision=3):
            yield
    if torch:
        torch.set_num_threads(threads)
    np.random.set_state(legacy)
    random.setstate(state)
    signal.signal(signal.SIGUSR1, before)


def state_of_the_process() -> dict[str, object]:
    found = {
        "signals": [signal.getsignal(number) for number in SIGNALS],
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask(),
        "random": random.getstate(),
        "numpy.random": [np.asarray(part).tolist() for part in np.random.get_state()],
        "numpy.errstate": np.geterr(),
        "numpy.printoptions": {name: repr(value) for name, value in np.get_printoptions().items()},
        "warnings": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": repr(decimal.getcontext().prec),
        "gc": (gc.isenabled(), gc.get_threshold()),
        "recursion": sys.getrecursionlimit(),
        "excepthook": sys.excepthook,
        "path": list(sys.path),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "logging": [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers()],
        "threads": {thread.name for thread in threading.enumerate()},
        "children": multiprocessing.active_children(),
        "start": multiprocessing.get_start_method(allow_none=True),
        "large blocks": freed_at_once(),
        "numba": (numba.get_num_threads(), numba.config.THREADING_LAYER, numba.config.DISABLE_JIT),
    }
    if matplotlib := sys.modules.get("matplotlib"):
        found["matplotlib"] = (dict(matplotlib.rcParams), matplotlib.get_backend())
    if torch:
        found["torch"] = (
            torch.get_num_threads(), torch.get_rng_state().tolist(), torch.is_grad_enabled(),
            torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled(), torch.is_inference_mode_enabled(),
        )  # fmt: skip
    return found


def loggers():
    return [logging.root, logging.getLogger("lodewell"), logging.getLogger("py.warnings")]


def umask():
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


class MallocInfo(ctypes.Structure):
    """What glibc's mallinfo2 returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


def freed_at_once():
    """Tell whether the C library maps a large block, which is then given back; None where it says nothing."""
    if platform.libc_ver()[0] != "glibc":
        return None
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return None
    libc.mallinfo2.restype = MallocInfo
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    before = libc.mallinfo2().hblks
    block = libc.malloc(64 << 20)
    mapped = libc.mallinfo2().hblks - before
    libc.free(block)
    return mapped


def test_every_verb_is_called():
    public = {name for name in dir(lodewell) if not name.startswith("_")}
    verbs = {name for name in public if inspect.isfunction(thing := getattr(lodewell, name)) or inspect.ismodule(thing)}
    assert set(CALLS) == verbs


@pytest.mark.usefixtures("unusual_state")
@pytest.mark.parametrize("verb", CALLS)
def test_a_call_leaves_the_process_as_it_was(verb, folder):
    if verb in ("load_model", "predict", "train") and torch is None:
        pytest.skip("needs the extra [predict]")
    before = state_of_the_process()
    CALLS[verb](folder)
    gc.collect()
    after = state_of_the_process()
    changed = {name: (before[name], after.get(name)) for name in before if before[name] != after.get(name)}
    assert changed == {}


def test_worker_processes_leave_it_too(folder):
    before = state_of_the_process()
    lodewell.score([folder / "salts.extxyz"] * 700, workers=2)
    after = state_of_the_process()
    assert {name for name in before if before[name] != after[name]} == set()


@pytest.mark.skipif(freed_at_once() is None, reason="only glibc tells")
def test_the_state_of_memory_is_seen():
    """The check of large blocks can fail: in a process that keeps memory, none is mapped."""
    pytest.importorskip("torch")
    keep = "from lodewell.predict.process import keep_memory; keep_memory()"
    for before, mapped in (("", 1), (keep, 0)):
        script = f"{before}\nfrom tests.test_process_untouched import freed_at_once\nprint(freed_at_once())"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
        assert int(done.stdout) == mapped
