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
    "Neighbours": "lodewell.crystals.neighbours.neighbours",
    "neighbour_list": "lodewell.crystals.neighbours.neighbours",
    "Potential": "lodewell.potentials.base",
    "Result": "lodewell.potentials.base",
    "check_potential": "lodewell.potentials.check",
    "LennardJones": "lodewell.potentials.pairs.pair",
    "Morse": "lodewell.potentials.pairs.pair",
    "Buckingham": "lodewell.potentials.pairs.pair",
    "ZBL": "lodewell.potentials.pairs.pair",
    "PairPotential": "lodewell.potentials.pairs.pair",
    "PairTable": "lodewell.potentials.pairs.table",
    "Statistical": "lodewell.potentials.statistical.statistical",
    "UF": "lodewell.potentials.uf.uf",
    "MEAM": "lodewell.potentials.meam.meam",
    "GAP": "lodewell.potentials.gap.gap",
    "Coulomb": "lodewell.potentials.ionic.ionic",
    "London": "lodewell.potentials.ionic.ionic",
    "BornMayer": "lodewell.potentials.ionic.ionic",
    "lattice_sum": "lodewell.potentials.ionic.lattice_sums",
    "lattice_sum_gradients": "lodewell.potentials.ionic.lattice_sums",
    "LatticeSum": "lodewell.potentials.ionic.lattice_sums",
    "load": "lodewell.potentials.store",
    "score": "lodewell.judge.score.run",
    "Score": "lodewell.judge.score.run",
    "check": "lodewell.judge.check.run",
    "CheckOptions": "lodewell.judge.check.options",
    "compare": "lodewell.judge.compare.run",
    "Comparison": "lodewell.judge.compare.run",
    "PublishedErrors": "lodewell.judge.compare.run",
    "CheckReport": "lodewell.judge.check.findings",
    "test": "lodewell.judge.test.run",
    "Errors": "lodewell.judge.test.errors",
    "map_crystals": "lodewell.judge.map.run",
    "CrystalMap": "lodewell.judge.map.run",
    "MapOptions": "lodewell.judge.map.options",
    "export": "lodewell.interop.export",
    "show": "lodewell.report.curves",
    "shipped": "lodewell.potentials.store",
    "Relaxation": "lodewell.relax.result",
    "RelaxOptions": "lodewell.relax.options",
    "DeriveOptions": "lodewell.derive.options",
    "HoldOut": "lodewell.derive.chunk",
    "read_labels": "lodewell.crystals.labels.read",
    "Labelled": "lodewell.crystals.labels.read",
    "LabelKeys": "lodewell.crystals.labels.keys",
    "LabelledSource": "lodewell.fit.data",
    "fit_uf": "lodewell.fit.uf.run",
    "UFOptions": "lodewell.fit.uf.options",
    "fit_meam": "lodewell.fit.meam.run",
    "MEAMOptions": "lodewell.fit.meam.options",
    "fit_gap": "lodewell.fit.gap.run",
    "GAPOptions": "lodewell.fit.gap.options",
    "Prediction": "lodewell.predict.run",
    "PredictOptions": "lodewell.predict.options",
    "train": "lodewell.predict.train.run",
    "TrainOptions": "lodewell.predict.train.options",
    "load_model": "lodewell.predict.model",
}

# Verbs are folders whose package can be called; see lodewell/_verb.py.
_VERBS = ("derive", "predict", "relax")

if TYPE_CHECKING:
    from lodewell.crystals.batch import Batch as Batch
    from lodewell.crystals.labels.keys import LabelKeys as LabelKeys
    from lodewell.crystals.labels.read import Labelled as Labelled
    from lodewell.crystals.labels.read import read_labels as read_labels
    from lodewell.crystals.neighbours.neighbours import Neighbours as Neighbours
    from lodewell.crystals.neighbours.neighbours import neighbour_list as neighbour_list
    from lodewell.derive.chunk import HoldOut as HoldOut
    from lodewell.derive.options import DeriveOptions as DeriveOptions
    from lodewell.derive.run import derive as derive
    from lodewell.fit.data import LabelledSource as LabelledSource
    from lodewell.fit.gap.options import GAPOptions as GAPOptions
    from lodewell.fit.gap.run import fit_gap as fit_gap
    from lodewell.fit.meam.options import MEAMOptions as MEAMOptions
    from lodewell.fit.meam.run import fit_meam as fit_meam
    from lodewell.fit.uf.options import UFOptions as UFOptions
    from lodewell.fit.uf.run import fit_uf as fit_uf
    from lodewell.interop.export import export as export
    from lodewell.judge.check.findings import CheckReport as CheckReport
    from lodewell.judge.check.options import CheckOptions as CheckOptions
    from lodewell.judge.check.run import check as check
    from lodewell.judge.compare.run import Comparison as Comparison
    from lodewell.judge.compare.run import PublishedErrors as PublishedErrors
    from lodewell.judge.compare.run import compare as compare
    from lodewell.judge.map.options import MapOptions as MapOptions
    from lodewell.judge.map.run import CrystalMap as CrystalMap
    from lodewell.judge.map.run import map_crystals as map_crystals
    from lodewell.judge.score.run import Score as Score
    from lodewell.judge.score.run import score as score
    from lodewell.judge.test.errors import Errors as Errors
    from lodewell.judge.test.run import test as test
    from lodewell.potentials.base import Potential as Potential
    from lodewell.potentials.base import Result as Result
    from lodewell.potentials.check import check_potential as check_potential
    from lodewell.potentials.gap.gap import GAP as GAP
    from lodewell.potentials.ionic.ionic import BornMayer as BornMayer
    from lodewell.potentials.ionic.ionic import Coulomb as Coulomb
    from lodewell.potentials.ionic.ionic import London as London
    from lodewell.potentials.ionic.lattice_sums import LatticeSum as LatticeSum
    from lodewell.potentials.ionic.lattice_sums import lattice_sum as lattice_sum
    from lodewell.potentials.ionic.lattice_sums import lattice_sum_gradients as lattice_sum_gradients
    from lodewell.potentials.meam.meam import MEAM as MEAM
    from lodewell.potentials.pairs.pair import ZBL as ZBL
    from lodewell.potentials.pairs.pair import Buckingham as Buckingham
    from lodewell.potentials.pairs.pair import LennardJones as LennardJones
    from lodewell.potentials.pairs.pair import Morse as Morse
    from lodewell.potentials.pairs.pair import PairPotential as PairPotential
    from lodewell.potentials.pairs.table import PairTable as PairTable
    from lodewell.potentials.statistical.statistical import Statistical as Statistical
    from lodewell.potentials.store import load as load
    from lodewell.potentials.store import shipped as shipped
    from lodewell.potentials.uf.uf import UF as UF
    from lodewell.predict.model import load_model as load_model
    from lodewell.predict.options import PredictOptions as PredictOptions
    from lodewell.predict.run import Prediction as Prediction
    from lodewell.predict.run import predict as predict
    from lodewell.predict.train.options import TrainOptions as TrainOptions
    from lodewell.predict.train.run import train as train
    from lodewell.relax.options import RelaxOptions as RelaxOptions
    from lodewell.relax.result import Relaxation as Relaxation
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
