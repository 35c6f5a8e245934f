"""What would reach the targets of quality: other weights and other forms of the table, tried on a part of the crystals.

    python -m benchmarks.quality.forms prepare
    python -m benchmarks.quality.forms try pairs embedding embedding+soft

Each is refined on the same 15,000 crystals and judged on the same 400 held-out ones; one line each is appended to
results/quality/forms.txt. Crystals of Li, P and O are kept from the refinement: how 20 of them relax is told as well.
Nothing here is shipped.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.harness import RESULTS
from benchmarks.quality import embedding
from benchmarks.quality.crystals import CACHE, CRYSTALS, SPLITS, held_out
from benchmarks.quality.decoys import best_of_decoys, decoys, shares
from benchmarks.quality.relax import by_potential, disturbed, relaxed, summary
from benchmarks.quality.thermal import SOFT, thermal
from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.chemistry import ANION_CLASSES, anion_class_b
from lodewell.derive import features as rows_of
from lodewell.derive import refine, tables
from lodewell.derive import run as pipeline
from lodewell.derive.features import COUNT, PROJECTIONS, RATTLED, RATTLES, ROWS, STRAINED, STRAINS, SWAPPED, Features
from lodewell.derive.options import DeriveOptions
from lodewell.derive.refine import RefineOptions
from lodewell.derive.similar import radius_z, similarity
from lodewell.derive.start import coefficients, first_contacts, mixed_correlations, tabulate, walled
from lodewell.descriptors.histograms import _slots
from lodewell.potentials.base import Potential
from lodewell.potentials.statistical.statistical import NO_EVIDENCE, NOTHING_KNOWN, Statistical
from lodewell.record import Checkpoint, Run

FORMS = CACHE / "forms"
TRAINING, JUDGES = 15_000, 400
UNSEEN = "Li-O-P"
SCALE = 0.02  # eV a unit, near what moduli give


@dataclass(frozen=True)
class Trial:
    """A form and its weights.

    Attributes:
        options: of the refinement.
        classes: standard deviation of what an anion class says of its own, relative to that of all; 0 for no classes.
        embedding: standard deviation of the functions of densities; 0 for none.
        soft: weight of thermal decoys relative to the others.
        promise: share of the mean stiffness that they must reach.
    """

    options: RefineOptions = field(default_factory=RefineOptions)
    classes: float = 0.0
    embedding: float = 0.0
    soft: float = 0.0
    promise: float = 0.15


TRIALS = {
    "pairs": Trial(),
    "freedom": Trial(RefineOptions(freedom=3.0)),
    "forces": Trial(RefineOptions(forces=3.0)),
    "decoys": Trial(RefineOptions(decoys=20.0)),
    "classes": Trial(classes=0.5),
    "soft": Trial(soft=1.0),
    "embedding": Trial(embedding=1.0),
    "embedding+soft": Trial(embedding=1.0, soft=1.0),
    "embedding+softer": Trial(embedding=1.0, soft=4.0, promise=0.3),
    "all": Trial(classes=0.5, embedding=1.0, soft=4.0, promise=0.3),
}


@dataclass(frozen=True)
class Part:
    """Features of a chunk: pairs with the rows of thermal decoys behind, and those of densities."""

    pairs: Features
    atoms: tuple[Any, Ints, Ints]
    class_b: Ints


@dataclass
class Rows:
    """One chunk as a trial sees it; `own` has what the loss of the package looks at."""

    own: Any
    value: Any
    first_b: Ints
    row_s: Ints


# ---- features ---------------------------------------------------------------------------------------------------


def part_of(batch: Batch, seed: int, usual: Floats, table: Statistical | None) -> tuple[Part, list[bool]]:
    """Return the features of some crystals; thermal decoys need a table."""
    cutoff = DeriveOptions().cutoff
    plain = rows_of.features(batch, cutoff, seed)
    rng = np.random.default_rng(seed)  # draws what `features` drew
    _, pair_sz, first_b, type_n = _slots(batch.species_n, batch.first_b)
    directions = rng.normal(size=(len(type_n), PROJECTIONS, 3))
    shaken = rng.normal(size=(len(RATTLES), len(type_n), 3)) * np.array(RATTLES)[:, None, None]
    swapped = rows_of._swapped(type_n, batch.first_b, rng)
    unstable: list[bool] = []
    if table is not None:
        soft, unstable = thermal(table, batch, seed + 10**6)
        length_s = radius_z()[pair_sz].sum(axis=1)
        reach = min(float(length_s.max()) * (rows_of.START + rows_of.SPACING * COUNT), cutoff) / (1.0 + STRAINS.min())
        cells = rows_of.complete_cells(batch.cell_bcc, batch.pbc_bc)
        pairs = rows_of.batch_pairs(batch.positions_nc, cells, batch.pbc_bc, batch.first_b, reach, True, 0.0)
        more = rows_of._features(
            batch.positions_nc, batch.cell_bcc, batch.first_b, type_n, swapped, first_b, length_s, pairs, directions,
            soft, STRAINS, cutoff,
        )[:, RATTLED : RATTLED + SOFT]  # fmt: skip
        squared_bj = np.add.reduceat((soft**2).sum(axis=2), batch.first_b[:-1], axis=1).T
        plain = replace(
            plain,
            value_srk=np.concatenate([plain.value_srk, more], axis=1),
            shaken_bj=np.hstack([plain.shaken_bj, squared_bj]),
        )
        shaken = np.concatenate([shaken, soft])
    atoms = embedding.rows(batch, type_n, swapped, directions, shaken, usual)
    return Part(plain, atoms, anion_class_b(batch)), unstable


def prepare() -> None:
    """Mine all but the judges, and compute features twice: for a first table, and with the thermal decoys of that."""
    FORMS.mkdir(parents=True, exist_ok=True)
    with Run("derive") as run:
        nowhere = Checkpoint(None, "")
        derivation, _ = pipeline._mine_all(str(CRYSTALS), DeriveOptions(), SPLITS["formula"], nowhere, run)
    elements = np.unique([k[:2] for k in derivation.sums.rows])
    unseen = [b for b, s in enumerate(derivation.systems) if s == UNSEEN and derivation.firsts[b]]
    small = [b for b in unseen if derivation.batch().count_b[b] <= tables._LARGEST][:20]
    crystals = held_out("formula")[:JUDGES]
    sets = [decoys(a, k) for k, a in enumerate(crystals)]
    _keep("judges", (crystals, sets, [disturbed(a, k) for k, a in enumerate(crystals)],
                     derivation.batch().take(np.array(small)).to_atoms()))  # fmt: skip
    derivation.firsts = [
        first and system != UNSEEN for first, system in zip(derivation.firsts, derivation.systems, strict=True)
    ]
    tasks = _Tasks()
    tables._feature_sets(derivation, DeriveOptions(refine_on=TRAINING), tasks)
    usual = embedding.usual_distances(derivation.sums, elements)
    _keep("mined", (derivation.sums, elements, usual))
    _keep("features", [[part_of(batch, seed, usual, None)[0] for batch, seed in some] for some in tasks.all])
    print("first table", flush=True)
    table = attempt(Trial())[0]
    assert isinstance(table, Statistical)
    unstable: list[bool] = []
    sets_of_parts: list[list[Part]] = []
    for some in tasks.all:
        sets_of_parts.append([])
        for batch, seed in some:
            part, found = part_of(batch, seed, usual, table)
            sets_of_parts[-1].append(part)
            unstable += found
    _keep("features", sets_of_parts)
    print(f"unstable under the pairs: {np.mean(unstable):.1%} of {len(unstable)} crystals with two atoms or more")


class _Tasks(Run):
    """A run that works on nothing, to learn which crystals the refinement would be given."""

    def __init__(self) -> None:
        super().__init__("derive")
        self.all: list[list[tuple[Batch, int]]] = []

    @property
    def workers(self) -> Any:
        return self

    def map(self, function: Any, tasks: Any) -> Iterator[Any]:
        """Keep the tasks."""
        self.all.append(list(tasks))
        return iter(())


def _keep(name: str, what: Any) -> None:
    (FORMS / f"{name}.pickle").write_bytes(pickle.dumps(what, protocol=5))


def _kept(name: str) -> Any:
    path = FORMS / f"{name}.pickle"
    if not path.exists():
        raise SystemExit("first: python -m benchmarks.quality.forms prepare")
    return pickle.loads(path.read_bytes())  # our own file


# ---- the refinement of a trial ----------------------------------------------------------------------------------


class Unknowns:
    """White noise on one side, coefficients on the other: pairs of each class, then elements."""

    def __init__(self, start_eek: Floats, kernel_ee: Floats, trial: Trial) -> None:
        self.start, self.trial, self.elements = start_eek, trial, len(kernel_ee)
        self.pairs = refine._Prior(kernel_ee, trial.options.freedom)
        self.classes = len(ANION_CLASSES) if trial.classes else 1
        k = np.arange(embedding.BASIS)
        smooth = np.linalg.cholesky(np.exp(-0.5 * ((k[:, None] - k) / 1.5) ** 2) + 1e-4 * np.eye(len(k)))
        self.along = np.zeros((COUNT, COUNT))
        for c in range(3):
            place = slice(c * len(k), (c + 1) * len(k))
            self.along[place, place] = trial.embedding * smooth
        pairs = (1 + (self.classes if trial.classes else 0)) * start_eek.size
        self.count = pairs + self.elements * COUNT

    def expand(self, z: Floats) -> Floats:
        """Return coefficients, a row a pair of each class and a row an element."""
        size = self.start.size
        common = self.start + self.pairs.expand(z[:size])
        out = [common] * self.classes
        if self.trial.classes:
            noise = z[size : size * (1 + self.classes)].reshape(self.classes, size)
            out = [common + self.trial.classes * self.pairs.expand(one) for one in noise]
        atoms = self.pairs.mix @ z[-self.elements * COUNT :].reshape(self.elements, COUNT) @ self.along.T
        return np.concatenate([np.reshape(x, (-1, COUNT)) for x in (*out, atoms)])

    def pull_back(self, gradient_xk: Floats) -> Floats:
        """Return the gradient by white noise."""
        each = gradient_xk[: -self.elements].reshape(self.classes, -1, COUNT)
        out = [self.pairs.pull_back(each.sum(axis=0))]
        if self.trial.classes:
            out += [self.trial.classes * self.pairs.pull_back(one) for one in each]
        out.append((self.pairs.mix @ gradient_xk[-self.elements :] @ self.along).ravel())
        return np.concatenate(out)


def as_rows(part: Part, place_z: Ints, start_xk: Floats, unknowns: Unknowns) -> Rows:
    """Put the features of pairs and densities together, crystal by crystal."""
    f, (value, slot_b, z_s) = part.pairs, part.atoms
    own = refine._prepared(replace(f, value_srk=f.value_srk[:, :ROWS]), place_z, unknowns.elements, start_xk)
    own.features = replace(f, shaken_bj=f.shaken_bj[:, : len(RATTLES)])
    class_b = part.class_b if unknowns.classes > 1 else np.zeros_like(part.class_b)
    pair_rows = np.repeat(class_b, np.diff(f.first_b)) * unknowns.elements**2 + own.row_s
    if not unknowns.trial.embedding:
        return Rows(own, f.value_srk, f.first_b, pair_rows)
    atom_rows = unknowns.classes * unknowns.elements**2 + place_z[z_s]
    crystal_b = np.arange(len(class_b))
    order = np.argsort(
        np.concatenate([np.repeat(crystal_b, np.diff(f.first_b)), np.repeat(crystal_b, np.diff(slot_b))]), kind="stable"
    )
    both = np.concatenate([f.value_srk, value[:, : f.value_srk.shape[1]]])[order]
    return Rows(own, both, f.first_b + slot_b, np.concatenate([pair_rows, atom_rows])[order])


def loss(x: Floats, sets: list[Rows], trial: Trial) -> tuple[float, Floats]:
    """Return the loss of the package, thermal decoys added, and its gradient."""
    total, gradient = 0.0, np.zeros_like(x)
    o = trial.options
    for one in sets:
        f, atoms = one.own.features, one.own.features.count_b.astype(float)
        y = refine._apply(one.value, one.first_b, one.row_s, x)
        dy = np.zeros_like(y)
        total += refine._force_terms(y, dy, atoms, one.own, o)
        total += refine._decoy_terms(y[:, :ROWS], dy[:, :ROWS], atoms, one.own, o)
        if trial.soft and y.shape[1] > ROWS:
            rattled = f.count_b > 1
            promised = trial.promise * 0.5 * one.own.spring_b * np.maximum(3.0 * atoms * 0.1**2, 1e-3)
            z = (y[:, ROWS:] / promised[:, None] - o.margin) / o.temperature
            weight = rattled[:, None] * o.decoys * trial.soft
            dy[:, ROWS:] = -weight / (1.0 + np.exp(np.clip(z, -50, 50))) / promised[:, None]
            total += float((weight * o.temperature * np.logaddexp(0.0, -z)).sum())
        refine._pull(one.value, one.first_b, one.row_s, dy, gradient)
    return total, gradient


def score(x: Floats, sets: list[Rows], trial: Trial) -> float:
    """Return the score by which the package stops, plus a fifth of the share of thermal decoys won if they count."""
    best, error, soft = [], [], []
    for one in sets:
        y = refine._apply(one.value, one.first_b, one.row_s, x)
        d = np.delete(y[:, STRAINED:ROWS], [3, 4], axis=1)
        d[np.diff(one.own.features.first_b) == 1, SWAPPED - STRAINED - 2 : RATTLED - STRAINED - 2] = 1.0
        best.append((d > 0).all(axis=1))
        shrink, grow = y[:, STRAINED + 3], y[:, STRAINED + 4]
        offset = 1.5 * STRAINS[4] * (shrink - grow) / np.maximum(shrink + grow, 1e-9)
        error.append(np.abs(np.clip(offset, -0.3, 0.3)))
        soft.append((y[one.own.features.count_b > 1, ROWS:] > 0).ravel())
    out = float(np.concatenate(best).mean() - np.median(np.concatenate(error)))
    return out + (0.2 * float(np.concatenate(soft).mean()) if trial.soft else 0.0)


def attempt(trial: Trial) -> tuple[Potential, list[float]]:
    """Refine; return the potential at the best judgement, and the history of judgements."""
    mined, elements, usual = _kept("mined")
    kernel, place_z = similarity(elements), np.full(119, -1)
    place_z[elements] = np.arange(len(elements))
    keys = sorted(k for k in mined.rows if k[2] < 0)
    found = np.array([mined.rows[k] for k in keys])
    weight_p = mined.weight_p[found]
    g_ph = mined.smooth_ph[found] / np.maximum(weight_p, 1e-12)[:, None]
    start = coefficients(
        mixed_correlations(np.array([k[:2] for k in keys]), g_ph, weight_p, elements, kernel, DeriveOptions().prior)[0]
    )
    unknowns = Unknowns(start, kernel, trial)
    train, judges = (
        [as_rows(p, place_z, start.reshape(-1, COUNT), unknowns) for p in some] for some in _kept("features")
    )
    history: list[float] = []
    best: list[Any] = [-np.inf, None]
    steps = [0]

    def objective(z: Floats) -> tuple[float, Floats]:
        value, gradient = loss(unknowns.expand(z), train, trial)
        return value + 0.5 * float(z @ z), unknowns.pull_back(gradient) + z

    def after_step(z: Floats) -> None:
        steps[0] += 1
        if steps[0] % 10 == 0:
            x = unknowns.expand(z)
            history.append(score(x, judges, trial))
            if history[-1] > best[0]:
                best[:] = history[-1], x

    minimize(
        objective, np.zeros(unknowns.count), jac=True, method="L-BFGS-B", callback=after_step,
        options={"maxiter": trial.options.rounds, "maxcor": 8},
    )  # fmt: skip
    return potential(best[1], mined, elements, usual, unknowns), history


def potential(x: Floats, mined: Any, elements: Ints, usual: Floats, unknowns: Unknowns) -> Potential:
    """Make tables of the coefficients, and the functions of densities if there are any."""
    cutoff = DeriveOptions().cutoff
    pairs = np.array([(int(a), int(b)) for i, a in enumerate(elements) for b in elements[i:]])
    nothing = np.zeros(mined.bins)
    contacts = np.array([mined.contact_ph[mined.rows[a, b, -1]] if (a, b, -1) in mined.rows else nothing
                         for a, b in pairs.tolist()])  # fmt: skip
    inner = first_contacts(pairs, contacts, elements, similarity(elements))
    count = len(elements)
    i, j = np.searchsorted(elements, pairs).T

    def curves(x_ek: Floats) -> Floats:
        rows = x_ek[i * count + j]
        return walled(
            np.array([tabulate(c, p, cutoff) for c, p in zip(rows, pairs, strict=True)]), pairs, inner, cutoff
        )

    each = [curves(one) for one in x[: -unknowns.elements].reshape(unknowns.classes, -1, COUNT)]
    variants = [-1] if unknowns.classes == 1 else [-1, *range(unknowns.classes)]
    if unknowns.classes > 1:
        each.insert(0, np.mean(each, axis=0))
    table = Statistical(
        np.concatenate([pairs] * len(each)), np.concatenate(each), NO_EVIDENCE, NOTHING_KNOWN, cutoff=cutoff,
        variant_p=np.repeat(variants, len(pairs)),
    ).in_eV(SCALE)  # fmt: skip
    if not unknowns.trial.embedding:
        return table
    u_zk = np.zeros((119, COUNT))
    u_zk[elements] = x[-unknowns.elements :]
    return table + embedding.Embedding(usual, u_zk, SCALE, cutoff)


def judge(name: str, made: Potential) -> str:
    """Return a line on a potential."""
    crystals, sets, starts, unseen = _kept("judges")
    ok = [k for k, a in enumerate(crystals) if not made.unsupported(a.numbers)]
    crystals, sets, starts = ([some[k] for k in ok] for some in (crystals, sets, starts))
    won = shares(best_of_decoys(made, crystals, sets))
    relaxer = by_potential(made)
    back = relaxed(relaxer, crystals, starts)[0]
    volume = np.abs([r["volume"] for r in back])
    after, still = summary(back), summary(relaxed(relaxer, crystals[:150], crystals[:150])[0])
    polyanions = np.array([r["volume"] for r in relaxed(relaxer, unseen, unseen)[0]])
    return (
        f"{name}: n={len(crystals)}, own below all decoys {won['own']:.1%} (rattles {won['rattles']:.1%} "
        f"strains {won['strains']:.1%} swaps {won['swaps']:.1%}); relaxed |dV| {after['volume']:.2%} "
        f"bias {after['bias']:+.2%} rms {after['displacement']:.3f} Å converged {after['converged']:.1%}; "
        f"|dV| above 6 % {(volume > 0.06).mean():.1%}, above 20 % {(volume > 0.2).mean():.1%}; "
        f"undisturbed |dV| {still['volume']:.2%} rms {still['displacement']:.3f} Å; "
        f"unseen {UNSEEN} dV median {np.median(polyanions):+.1%}, most {polyanions.max():+.1%}"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="mine and compute features, once")
    tried = commands.add_parser("try", help="refine and judge")
    tried.add_argument("names", nargs="+", choices=list(TRIALS))
    chosen = parser.parse_args()
    if chosen.command == "prepare":
        prepare()
        return
    for name in chosen.names:
        begun = time.process_time()
        made, history = attempt(TRIALS[name])
        line = judge(name, made)
        print(
            f"{line}; scores {[round(s, 4) for s in history]}; {time.process_time() - begun:.0f} s of processor",
            flush=True,
        )
        with (RESULTS / "quality" / "forms.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
