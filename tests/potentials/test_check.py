"""The public check of the laws finds every law broken on purpose: a check that cannot fail is worth nothing."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from lodewell import Morse, PairPotential, Potential, check_potential
from lodewell.potentials.check import random_crystals


class Altered(Potential):
    """A sound Morse potential, through which a fault is planted."""

    kind = "altered"
    half_list = True

    def __init__(self) -> None:
        self.sound = Morse({"Cu-Cu": (0.3429, 1.3588, 2.866), "Cu-O": (0.5, 1.5, 2.0)}, cutoff=5.0)
        self.cutoff, self.species = self.sound.cutoff, self.sound.species

    def compute(self, batch, neighbours):
        return self.fault(batch, *self.sound.compute(batch, neighbours))

    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n, f_nc, virial_bcc


class WrongForceSign(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n, -f_nc, virial_bcc


class ForceOffByAThousandth(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n, 1.001 * f_nc, virial_bcc


class WrongVirialSign(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n, f_nc, -virial_bcc


class HalfTheVirial(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n, f_nc, 0.5 * virial_bcc


class LopsidedVirial(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        twist = np.array([[0.0, 0.01, 0.0], [-0.01, 0.0, 0.0], [0.0, 0.0, 0.0]])
        return e_n, f_nc, virial_bcc + twist


class Drift(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n, f_nc + 1e-5, virial_bcc


class FirstAtomIsSpecial(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        factor = np.ones(len(e_n))
        factor[batch.first_b[:-1]] = 1.001
        return e_n * factor, f_nc * factor[:, None], virial_bcc


class FieldAlongZ(Altered):
    """An external field: not invariant to rotation, nor to translation."""

    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n + 0.01 * batch.positions_nc[:, 2], f_nc - [0.0, 0.0, 0.01], virial_bcc


class PrefersAnAxis(Altered):
    """Invariant to translation, but not to rotation: the energy knows the cell's first row."""

    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n + 0.01 * batch.cell_bcc[batch.crystal_n, 0, 0], f_nc, virial_bcc


class SquareOfTheSize(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n + 1e-4 * batch.count_b[batch.crystal_n], f_nc, virial_bcc


class NeighboursInTheBatch(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        return e_n + 1e-4 * len(batch), f_nc, virial_bcc


class MovesTheAtoms(Altered):
    def fault(self, batch, e_n, f_nc, virial_bcc):
        batch.positions_nc[0, 0] += 1e-6
        return e_n, f_nc, virial_bcc


class NaNForOneAtom(Altered):
    """NaN for a lone atom: every comparison with NaN is false, and must not count as a pass."""

    def fault(self, batch, e_n, f_nc, virial_bcc):
        lonely = (batch.count_b == 1)[batch.crystal_n]
        return np.where(lonely, np.nan, e_n), f_nc, virial_bcc


class ForgetsImages(Altered):
    """Only the nearest image: fails where the cell is shorter than twice the cutoff."""

    def compute(self, batch, neighbours):
        lone = [Atoms(a.numbers, a.positions) for a in batch.to_atoms()]
        results = self.sound.evaluate(lone)
        energies = np.concatenate([r.energies_n for r in results])
        return energies, np.concatenate([r.forces_nc for r in results]), np.array([r.virial_cc for r in results])


class NotOfThisPlace(Altered):
    """Energies that depend on in which cell an atom is written."""

    def fault(self, batch, e_n, f_nc, virial_bcc):
        inverse = np.linalg.pinv(batch.cell_bcc)[batch.crystal_n]
        whole = np.floor(np.einsum("nc,nck->nk", batch.positions_nc, inverse)).sum(axis=1)
        return e_n + 1e-4 * whole, f_nc, virial_bcc


sharp = Morse({"Cu-Cu": (0.3429, 0.6, 2.866)}, cutoff=4.0, switch=0.0)


class Kinked(PairPotential):
    """Ends at zero, but with a slope."""

    kind = "kinked"
    parameter_names = ("slope",)

    def radial(self, r_p, parameters_xp):
        (slope,) = parameters_xp
        return slope * (r_p - self.cutoff), slope * np.ones_like(r_p)


faults = [
    (WrongForceSign(), "F = -dE/dx"),
    (ForceOffByAThousandth(), "F = -dE/dx"),
    (WrongVirialSign(), "stress = dE/dstrain / V"),
    (HalfTheVirial(), "stress = dE/dstrain / V"),
    (LopsidedVirial(), "the virial is symmetric"),
    (Drift(), "forces sum to zero"),
    (FirstAtomIsSpecial(), "permutation"),
    (FieldAlongZ(), "translation, and of one atom by a lattice vector"),
    (FieldAlongZ(), "rotation of the energy"),
    (PrefersAnAxis(), "rotation of the energy"),
    (SquareOfTheSize(), "supercell additivity"),
    (NeighboursInTheBatch(), "batch = one by one"),
    (MovesTheAtoms(), "computing changes nothing"),
    (NaNForOneAtom(), "batch = one by one"),
    (ForgetsImages(), "supercell additivity"),
    (NotOfThisPlace(), "translation, and of one atom by a lattice vector"),
    (sharp, "smooth at the cutoff: energy"),
    (Kinked({"Cu-Cu": (-0.1,)}, cutoff=4.0, switch=0.0), "smooth at the cutoff: force"),
]


@pytest.mark.parametrize(("potential", "law"), faults, ids=lambda x: x if isinstance(x, str) else type(x).__name__)
def test_a_planted_fault_is_found(potential, law):
    found = check_potential(potential)
    assert law in {v.law for v in found}, [str(v) for v in found]
    for violation in found:
        assert not violation.error <= violation.allowed


def test_the_sound_potential_has_none():
    assert check_potential(Altered()) == []


def test_a_fault_is_told_in_one_line():
    violation = next(v for v in check_potential(WrongForceSign()) if v.law == "F = -dE/dx")
    assert str(violation).startswith("F = -dE/dx (Cu")
    assert "is allowed" in str(violation)


def test_the_users_own_crystals_are_used():
    slab = bulk("Cu", cubic=True) * (1, 1, 2)
    slab.rattle(0.1, seed=1)
    slab.pbc = [True, True, False]
    drop = Atoms(molecule("C2H6").positions.shape[0] * ["Cu"], 2.0 * molecule("C2H6").positions)
    assert check_potential(Altered(), [slab, drop]) == []
    found = check_potential(HalfTheVirial(), [slab, drop])
    assert {v.crystal for v in found if v.law == "stress = dE/dstrain / V"} == {"Cu8"}


@pytest.mark.parametrize("seed", range(5))
def test_random_crystals_are_sane(seed):
    crystals = random_crystals(Altered(), np.random.default_rng(seed))
    assert len(crystals[0]) == 1
    for atoms in crystals:
        assert set(atoms.numbers) <= {8, 29}
        assert atoms.get_volume() / len(atoms) > 1.5
