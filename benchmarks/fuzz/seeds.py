"""Good files of every kind that lodewell reads, small, which `run.py` makes bad, and how each is read."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import ase.test
import numpy as np
from ase import Atoms
from ase.build import bulk

from benchmarks.harness import ROOT
from lodewell import Morse
from lodewell.config import read_config
from lodewell.crystals import read
from lodewell.crystals.batch import Batch
from lodewell.crystals.labels.read import read_labels
from lodewell.crystals.read import read_crystals
from lodewell.crystals.write import write_crystals
from lodewell.derive.chunk import read_formulas
from lodewell.errors import LodewellError
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.fit.uf.options import UFOptions
from lodewell.interop.export import export
from lodewell.interop.lammps.table import read_table as read_lammps_table
from lodewell.ledger import Ledger
from lodewell.potentials.meam.meam import MEAM
from lodewell.potentials.meam.splines import Spline
from lodewell.potentials.store import load, read_header
from lodewell.potentials.uf.uf import UF
from lodewell.predict.train.options import TrainOptions
from lodewell.predict.train.table import read_table
from lodewell.report.pairs import description, potential_rows
from lodewell.workers.cluster import read_queue_file

DATA = ROOT / "tests" / "data"


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name on the disk, good contents, and what reads it; nothing but LodewellError may come of it.

    `name` may hold `{n}`, the number of the good file that was changed.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], None]


def crystals(path: Path) -> None:
    """Read crystals: each is atoms of finite numbers, or a reason."""
    for record in read_crystals(path):
        if (record.atoms is None) == (record.error is None):
            raise AssertionError("a record is atoms or an error, never both")
        if record.atoms is not None and not np.isfinite(record.atoms.positions).all():
            raise AssertionError("positions that are no numbers")


def _in_pieces(reader: Callable[[Path], None]) -> Callable[[Path], None]:
    """Read small JSON as large JSON is read."""

    def read_in_pieces(path: Path) -> None:
        usual = read.LARGE_JSON
        read.LARGE_JSON = 10
        try:
            reader(path)
        finally:
            read.LARGE_JSON = usual

    return read_in_pieces


def labels(path: Path) -> None:
    """Read labelled crystals."""
    for frame in read_labels(path, refused=[]):
        if frame.energy is not None and not np.isfinite(frame.energy):
            raise AssertionError("an energy that is no number")


def potential(path: Path) -> None:
    """Load a potential and compute a crystal of its elements."""
    read_header(path)
    found = load(path)
    numbers = sorted(found.species) if found.species else [8, 14]
    atoms = bulk("Cu", a=4.0, cubic=True)
    atoms.numbers = [numbers[k % len(numbers)] for k in range(4)]
    with np.errstate(all="ignore"):
        found.evaluate(atoms)
    repr(found)
    potential_rows([path])
    description(path)


def derived(path: Path) -> None:
    """Read the checkpoint of a derivation: it is whole, or not there."""
    from lodewell.derive.derivation import Derivation
    from lodewell.record import Checkpoint

    if (kept := Checkpoint(path, "key").load()) is not None:
        Derivation.from_state(*kept)


def options(path: Path) -> None:
    """Read the options of a fit, and those of a training."""
    for kind in (UFOptions, TrainOptions):
        with suppress(LodewellError):
            read_config(path, kind)


def _alone(read: Callable[[Path], object]) -> Callable[[Path], None]:
    def reader(path: Path) -> None:
        read(path)

    return reader


def ledger(path: Path) -> None:
    """Open a ledger and read it."""
    with Ledger(path) as opened:
        list(opened.documents("a"))
        list(opened.data("a"))


def kinds() -> dict[str, Kind]:
    """Return every kind of file by name."""
    found = {f"crystals {name}": kind for name, kind in _crystals()}
    found |= {f"potential {name}": kind for name, kind in _potentials()}
    labelled = (DATA / "silicon-labelled.extxyz").read_bytes()
    found["labels extxyz"] = Kind("a.extxyz", (labelled,), labels)
    found["labels castep"] = Kind("a.castep", found["crystals castep"].seeds, labels)
    found["labels vasprun"] = Kind("vasprun.xml", found["crystals vasprun"].seeds, labels)
    found["options yaml"] = Kind("a.yaml", _YAML, options)
    found["queue yaml"] = Kind("a.yaml", _QUEUES, _alone(read_queue_file))
    found["table csv"] = Kind("a.csv", _CSV, _alone(lambda path: read_table(path, ["gap", "K"], None, None)))
    found["formulas txt"] = Kind("a.txt", (b"Li3PO4\nNaCl # salt\n",), _alone(read_formulas))
    found["derivation partial"] = Kind("a.partial", (_partial(),), derived)
    found["rows npz"] = Kind("a.rows", (_rows(),), _alone(LinearSystem.load))
    found["ledger sqlite"] = Kind("a.sqlite", (_ledger(),), ledger)
    return found


_YAML = (
    b"cutoff: 5.0\nseed: 1\nstress: auto\nlengths: [1.0, 2.0]\nbase: &b {a: 1}\nmore: {<<: *b}\n",
    b"# a training\ndata: a.extxyz\nproperties: [gap, K]\nepochs: 3\nlr: 1e-3\nweights: {gap: 2}\n",
)
_QUEUES = (b"kind: slurm\njobs: 4\ncores: 8\nmemory: 16 GB\nprologue: [module load x]\nextra: {job_name: w}\n",)
_CSV = (b"id,gap,K\na,1.0,2.0\nb,,3e1\n", b'"a ""b""",1.0,2.0\nb,nan,3\n')
_RES = b"TITL a 0.0 100.0 -5.0 0 0 2 (P1) n - 1\nCELL 1.0 4.0 4.0 4.0 90 90 90\nLATT -1\nSFAC Na Cl\nNa 1 0 0 0 1.0\nCl 2 0.5 0.5 0.5 1.0\nEND\n"  # noqa: E501
_CELL = (
    b"%BLOCK LATTICE_CART\nang\n4 0 0\n0 4 0\n0 0 4\n%ENDBLOCK LATTICE_CART\n"
    b"%BLOCK POSITIONS_FRAC\nNa 0 0 0\nCl 0.5 0.5 0.5\n%ENDBLOCK POSITIONS_FRAC\n"
)
_LAMMPS = b"# a table\nLi-O\nN 4 R 1.0 4.0\n\n1 1.0 3.0 1.0\n2 2.0 1.0 1.0\n3 3.0 0.5 0.5\n4 4.0 0.0 0.0\n"


def _good() -> list[Atoms]:
    salt, silicon = bulk("NaCl", "rocksalt", a=5.64), bulk("Si")
    salt.info |= {"id": "salt", "energy_above_hull": 0.1}
    silicon.info["id"] = "silicon"
    return [salt, silicon]


def _written(name: str, form: str | None = None) -> bytes:
    """Return what lodewell writes."""
    crystals = _good() if form not in ("cif", "poscar") else _good()[:1]
    with tempfile.TemporaryDirectory() as folder:
        write_crystals(Path(folder) / name, crystals, format=form)
        return (Path(folder) / name).read_bytes()


def _crystals() -> Iterator[tuple[str, Kind]]:
    asedata = Path(ase.test.__file__).parent / "testdata"
    real = {
        "castep": asedata / "castep" / "md.castep",
        "vasprun": asedata / "vasp" / "vasprun_pstress.xml",
        "outcar": asedata / "vasp" / "OUTCAR_example_1",
    }
    yield (
        "cif",
        Kind("a.cif", (*(p.read_bytes() for p in sorted(DATA.glob("*.cif"))), _written("a.cif", "cif")), crystals),
    )
    yield "extxyz", Kind("a.extxyz", (_written("a.extxyz"), (DATA / "cod.extxyz").read_bytes()), crystals)
    yield "extxyz.gz", Kind("a.extxyz.gz", (_written("a.extxyz.gz"),), crystals)
    yield "poscar", Kind("POSCAR", (_written("POSCAR", "poscar"),), crystals)
    forms = ("pymatgen", "optimade", "jarvis")
    yield "json", Kind("a.json", tuple(_written("a.json", form) for form in forms), crystals)
    yield "json in pieces", Kind("a.json", tuple(_written("a.json", form) for form in forms), _in_pieces(crystals))
    line = json.dumps(json.loads(_written("a.json", "pymatgen"))[0]).encode() + b"\n"
    yield "jsonl", Kind("a.jsonl", (3 * line,), _in_pieces(crystals))
    yield "res", Kind("a.res", (_RES,), crystals)
    yield "cell", Kind("a.cell", (_CELL,), crystals)
    yield "db", Kind("a.db", (_written("a.db"),), crystals)
    yield "traj", Kind("a.traj", (_trajectory(),), crystals)
    names = {"castep": "a.castep", "vasprun": "vasprun.xml", "outcar": "OUTCAR"}
    for form, path in real.items():
        yield form, Kind(names[form], (path.read_bytes(),), crystals)
    yield "of no name", Kind("unknown", (_written("POSCAR", "poscar"), _RES, _CELL, _written("a.extxyz")), crystals)


def _trajectory() -> bytes:
    from ase.io import write

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "a.traj", _good())
        return (Path(folder) / "a.traj").read_bytes()


def _potentials() -> Iterator[tuple[str, Kind]]:
    stored = sorted((DATA / "potentials").glob("*/*.lodewell"))
    yield "lodewell", Kind("a.lodewell", tuple(path.read_bytes() for path in stored), potential)
    for name, (family, to) in {
        "uf3": ("uf", "lammps"),
        "meam.spline": ("meam", "lammps"),
        "xml": ("gap", "quip"),
    }.items():
        yield name, Kind(f"a.{name}", (_exported(family, to, name),), potential)
    lammps = (_LAMMPS, _exported("morse", "lammps", "table"))
    yield "lammps table", Kind("a.table", lammps, _alone(read_lammps_table))


def _exported(family: str, to: str, ending: str) -> bytes:
    """Return what another code reads, with the sparse points of a GAP in the XML itself."""
    path = next((DATA / "potentials").glob(f"*/{family}.lodewell"))
    made = {"morse": lambda: Morse({"Cu-O": (0.34, 1.36, 2.87)}, cutoff=4.0), "meam": _meam}
    model = made[family]() if family in made else load(path)
    if isinstance(model, UF):
        model = UF(model.energies, model.pairs, model.triples)  # LAMMPS knows no embedding
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = export(model, to=to, out=folder, **({"points": 100} if family == "morse" else {}))
        file = next(path for path in written if path.name.endswith(ending))
        return _in_itself(file) if ending == "xml" else file.read_bytes()


def _meam() -> MEAM:
    """Return a potential of two elements whose knots are evenly spaced, as LAMMPS wants them."""

    def curve(first: float, last: float, height: float) -> Spline:
        x_k = np.linspace(first, last, 5)
        return Spline(x_k, height * np.cos(x_k), (0.0, 0.0))

    pairs, symbols = ("O-O", "O-Ti", "Ti-Ti"), ("O", "Ti")
    return MEAM(
        {name: curve(1.0, 5.0, 1.0) for name in pairs}, {name: curve(1.0, 5.0, 0.5) for name in symbols},
        {name: curve(-5.0, 5.0, 0.3) for name in symbols}, {name: curve(1.0, 4.0, 0.2) for name in symbols},
        {name: curve(-1.0, 1.0, 0.1) for name in pairs}, {"O": -1.0, "Ti": -2.0},
    )  # fmt: skip


def _in_itself(xml: Path) -> bytes:
    """Return a model of QUIP with its sparse points in the XML, not in files beside."""
    tree = ElementTree.parse(xml)
    for entry in tree.getroot().iter("gpCoordinates"):
        numbers = (xml.parent / entry.attrib.pop("sparseX_filename")).read_text().split()
        points = list(entry.iter("sparseX"))
        width = len(numbers) // len(points)
        for k, point in enumerate(points):
            point.text = " ".join(numbers[k * width : (k + 1) * width])
    return ElementTree.tostring(tree.getroot())


def _partial() -> bytes:
    from lodewell.derive.derivation import Derivation
    from lodewell.derive.pair_sums import PairSums
    from lodewell.record import Checkpoint

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.partial"
        begun = Derivation(PairSums(100), batches=[Batch.from_atoms(_good())], firsts=[True, True])
        Checkpoint(path, "key").keep(*begun.state())
        return path.read_bytes()


def _rows() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.rows"
        streamed = LinearSystem(3, True)
        streamed.add("energy", 0, np.ones((5, 3)), np.ones(5))
        streamed.save(path, form="uf")
        return path.read_bytes()


def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.sqlite"
        with Ledger(path) as made:
            made.put("a", [('{"rank": 1}', b"frame", None)] * 3)
        return path.read_bytes()
