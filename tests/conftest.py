"""A small statistical table, mined from made-up rock salts, zinc blendes and caesium chlorides by plain NumPy."""

import signal

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers
from scipy.ndimage import gaussian_filter1d

from lodewell import Statistical, neighbour_list
from lodewell.crystals.chemistry import element_set
from lodewell.potentials.statistical.statistical import BIN, Evidence, KnownEnergies, table_points

# A suite started in the background inherits an ignored Ctrl-C, and so would the commands that it interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

CUTOFF = 6.0
RADII = {"Li": 0.76, "Na": 1.02, "K": 1.38, "Mg": 0.72, "O": 1.40, "F": 1.33, "S": 1.84, "Cl": 1.81}
STRUCTURES = {"rocksalt": 2.0, "zincblende": 2.22, "cesiumchloride": 1.12}


def made_up_crystals(seed: int = 0, each: int = 4) -> list[Atoms]:
    """Binary salts with edges from ionic radii, strained and rattled; some are doubled so that atoms see others."""
    rng = np.random.default_rng(seed)
    out = []
    for cation in ("Li", "Na", "K", "Mg"):
        for anion in ("O", "F", "S", "Cl"):
            for name, edge in STRUCTURES.items():
                for _ in range(each):
                    atoms = bulk(cation + anion, name, a=edge * (RADII[cation] + RADII[anion])) * (2, 1, 1)
                    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.01, (3, 3))), scale_atoms=True)
                    atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
                    out.append(atoms)
    return out


def mined(crystals: list[Atoms], cutoff: float = CUTOFF) -> Statistical:
    """Mine -ln g by the definition, with walls, counts and a pretended standard error."""
    bins = round(cutoff / BIN)
    shells = 4 / 3 * np.pi * np.diff((BIN * np.arange(bins + 1)) ** 3)
    symbols = sorted({s for a in crystals for s in a.symbols}, key=atomic_numbers.get)
    pairs = [(a, b) for k, a in enumerate(symbols) for b in symbols[k:]]
    g = {p: [] for p in pairs}
    contact = {p: np.zeros(bins) for p in pairs}
    for atoms in crystals:
        i, j, _, vector = neighbour_list(atoms, cutoff)
        r, kind = np.linalg.norm(vector, axis=1), np.array(atoms.get_chemical_symbols())
        for a, b in pairs:
            if {a, b} <= set(kind):
                r_ab = r[(kind[i] == a) & (kind[j] == b)]
                density = (kind == a).sum() * (kind == b).sum() / atoms.get_volume()
                g[a, b].append(np.histogram(r_ab, bins, (0, cutoff))[0] / (density * shells))
                for n, m in {(a, b), (b, a)}:
                    near = [r[(i == k) & (kind[j] == m)].min(initial=99.0) for k in np.flatnonzero(kind == n)]
                    contact[a, b] += np.histogram(near, bins, (0, cutoff))[0]
    r_k, u_pk, g_ph = table_points(cutoff), [], []
    for pair in pairs:
        mean = np.mean(g[pair], axis=0) if g[pair] else np.ones(bins)
        smooth = gaussian_filter1d(mean, 3)
        first = int(np.argmax(smooth > 0.05))
        u = -np.log(np.maximum(smooth, 1e-3))
        u[:first] = 3.0 + 20 * (r_k[1:-1][first] - r_k[1:-1][:first]) ** 2
        fade = np.clip((cutoff - r_k[1:-1]) / 1.0, 0, 1) ** 2
        u_pk.append(np.concatenate([[u[0] + 1], u * fade, [0.0]]))
        g_ph.append(mean)
    count_p = np.array([len(g[p]) for p in pairs])
    evidence = Evidence(
        count_p, 0.5 * count_p, 10.0 / (10.0 + count_p), np.full((len(pairs), len(r_k)), 0.1),
        np.array(g_ph), np.array([contact[p] for p in pairs]),
    )  # fmt: skip
    pairs_pz = np.sort([[atomic_numbers[a], atomic_numbers[b]] for a, b in pairs], axis=1)
    table = Statistical(pairs_pz, np.array(u_pk), evidence, KnownEnergies(*nothing_known()), cutoff=cutoff)
    systems = sorted({element_set(a.numbers) for a in crystals})
    energy_x = [r.energy / len(a) for r, a in zip(table.evaluate(crystals), crystals, strict=True)]
    system_x = [systems.index(element_set(a.numbers)) for a in crystals]
    known = KnownEnergies(np.array(energy_x, np.float32), np.array(system_x, np.int32), tuple(systems))
    return table.with_known(known)


def nothing_known():
    return np.zeros(0, np.float32), np.zeros(0, np.int32), ()


@pytest.fixture(scope="session")
def salts() -> list[Atoms]:
    return made_up_crystals()


@pytest.fixture(scope="session")
def table(salts) -> Statistical:
    """Li, Na, K, Mg with O, F, S, Cl; cations never meet other cations, so those curves are empty."""
    return mined(salts)


@pytest.fixture(scope="session")
def resolved(table) -> Statistical:
    """The same table with a curve of its own for Li-O in oxides, three times as high."""
    p = table.index("Li-O")
    e = table.evidence
    evidence = Evidence(*(np.concatenate([getattr(e, n), getattr(e, n)[[p]]]) for n in e.__dataclass_fields__))
    return Statistical(
        np.concatenate([table.pairs_pz, table.pairs_pz[[p]]]), np.concatenate([table.u_pk, 3.0 * table.u_pk[[p]]]),
        evidence, table.known, cutoff=table.cutoff, variant_p=np.array([-1] * len(table.pairs_pz) + [1]),
    )  # fmt: skip
