"""lodewell: from crystal structures to interatomic potentials, and from potentials to materials.

import lodewell

potential = lodewell.load("spp")
for result in lodewell.relax("candidates/", potential):
    print(result.rank, result.formula, result.energy_per_atom)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lodewell.version import __version__ as __version__

# Name -> where it lives. Loaded on first use, so that `import lodewell` and `lodewell --help` stay instant.
_HOME = {
    "Batch": "lodewell.crystals.batch",
    "Neighbours": "lodewell.crystals.neighbours",
    "neighbour_list": "lodewell.crystals.neighbours",
    "Potential": "lodewell.potentials.base",
    "Result": "lodewell.potentials.base",
    "check_potential": "lodewell.potentials.check",
    "LennardJones": "lodewell.potentials.pair",
    "Morse": "lodewell.potentials.pair",
    "Buckingham": "lodewell.potentials.pair",
    "ZBL": "lodewell.potentials.pair",
    "PairPotential": "lodewell.potentials.pair",
    "PairTable": "lodewell.potentials.table",
    "Statistical": "lodewell.potentials.statistical",
    "UF": "lodewell.potentials.uf",
    "MEAM": "lodewell.potentials.meam",
    "GAP": "lodewell.potentials.gap.gap",
    "Coulomb": "lodewell.potentials.ionic",
    "London": "lodewell.potentials.ionic",
    "BornMayer": "lodewell.potentials.ionic",
    "lattice_sum": "lodewell.potentials.lattice_sums",
    "lattice_sum_gradients": "lodewell.potentials.lattice_sums",
    "LatticeSum": "lodewell.potentials.lattice_sums",
    "load": "lodewell.potentials.store",
    "score": "lodewell.judge.score",
    "Scored": "lodewell.judge.score",
    "check": "lodewell.judge.check",
    "CheckOptions": "lodewell.judge.check_options",
    "compare": "lodewell.judge.compare",
    "Comparison": "lodewell.judge.compare",
    "Published": "lodewell.judge.compare",
    "Report": "lodewell.judge.findings",
    "test": "lodewell.judge.test",
    "Errors": "lodewell.judge.test",
    "map_crystals": "lodewell.judge.map",
    "CrystalMap": "lodewell.judge.map",
    "MapOptions": "lodewell.judge.map_options",
    "export": "lodewell.interop.export",
    "show": "lodewell.report.curves",
    "shipped": "lodewell.potentials.store",
    "Relaxed": "lodewell.relax.result",
    "RelaxOptions": "lodewell.relax.options",
    "DeriveOptions": "lodewell.derive.options",
    "HoldOut": "lodewell.derive.chunk",
    "read_labels": "lodewell.crystals.labels",
    "Labelled": "lodewell.crystals.labels",
    "LabelKeys": "lodewell.crystals.label_keys",
    "LabelledSource": "lodewell.fit.data",
    "fit_uf": "lodewell.fit.uf",
    "UFOptions": "lodewell.fit.uf_options",
    "fit_meam": "lodewell.fit.meam",
    "MEAMOptions": "lodewell.fit.meam_options",
    "fit_gap": "lodewell.fit.gap",
    "GAPOptions": "lodewell.fit.gap_options",
    "Prediction": "lodewell.predict.predict",
    "train": "lodewell.predict.fit",
    "TrainOptions": "lodewell.predict.options",
    "load_model": "lodewell.predict.model",
}

# Verbs are folders whose package can be called; see lodewell/_verb.py.
_VERBS = ("derive", "predict", "relax")

if TYPE_CHECKING:
    from lodewell.crystals.batch import Batch as Batch
    from lodewell.crystals.label_keys import LabelKeys as LabelKeys
    from lodewell.crystals.labels import Labelled as Labelled
    from lodewell.crystals.labels import read_labels as read_labels
    from lodewell.crystals.neighbours import Neighbours as Neighbours
    from lodewell.crystals.neighbours import neighbour_list as neighbour_list
    from lodewell.derive.chunk import HoldOut as HoldOut
    from lodewell.derive.options import DeriveOptions as DeriveOptions
    from lodewell.derive.pipeline import derive as derive
    from lodewell.fit.data import LabelledSource as LabelledSource
    from lodewell.fit.gap import fit_gap as fit_gap
    from lodewell.fit.gap_options import GAPOptions as GAPOptions
    from lodewell.fit.meam import fit_meam as fit_meam
    from lodewell.fit.meam_options import MEAMOptions as MEAMOptions
    from lodewell.fit.uf import fit_uf as fit_uf
    from lodewell.fit.uf_options import UFOptions as UFOptions
    from lodewell.interop.export import export as export
    from lodewell.judge.check import check as check
    from lodewell.judge.check_options import CheckOptions as CheckOptions
    from lodewell.judge.compare import Comparison as Comparison
    from lodewell.judge.compare import Published as Published
    from lodewell.judge.compare import compare as compare
    from lodewell.judge.findings import Report as Report
    from lodewell.judge.map import CrystalMap as CrystalMap
    from lodewell.judge.map import map_crystals as map_crystals
    from lodewell.judge.map_options import MapOptions as MapOptions
    from lodewell.judge.score import Scored as Scored
    from lodewell.judge.score import score as score
    from lodewell.judge.test import Errors as Errors
    from lodewell.judge.test import test as test
    from lodewell.potentials.base import Potential as Potential
    from lodewell.potentials.base import Result as Result
    from lodewell.potentials.check import check_potential as check_potential
    from lodewell.potentials.gap.gap import GAP as GAP
    from lodewell.potentials.ionic import BornMayer as BornMayer
    from lodewell.potentials.ionic import Coulomb as Coulomb
    from lodewell.potentials.ionic import London as London
    from lodewell.potentials.lattice_sums import LatticeSum as LatticeSum
    from lodewell.potentials.lattice_sums import lattice_sum as lattice_sum
    from lodewell.potentials.lattice_sums import lattice_sum_gradients as lattice_sum_gradients
    from lodewell.potentials.meam import MEAM as MEAM
    from lodewell.potentials.pair import ZBL as ZBL
    from lodewell.potentials.pair import Buckingham as Buckingham
    from lodewell.potentials.pair import LennardJones as LennardJones
    from lodewell.potentials.pair import Morse as Morse
    from lodewell.potentials.pair import PairPotential as PairPotential
    from lodewell.potentials.statistical import Statistical as Statistical
    from lodewell.potentials.store import load as load
    from lodewell.potentials.store import shipped as shipped
    from lodewell.potentials.table import PairTable as PairTable
    from lodewell.potentials.uf import UF as UF
    from lodewell.predict.fit import train as train
    from lodewell.predict.model import load_model as load_model
    from lodewell.predict.options import TrainOptions as TrainOptions
    from lodewell.predict.predict import Prediction as Prediction
    from lodewell.predict.predict import predict as predict
    from lodewell.relax.options import RelaxOptions as RelaxOptions
    from lodewell.relax.result import Relaxed as Relaxed
    from lodewell.relax.run import relax as relax
    from lodewell.report.curves import show as show


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _VERBS:
        return import_module(f"lodewell.{name}")
    raise AttributeError(f"module 'lodewell' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*_HOME, *_VERBS, "__version__"])
