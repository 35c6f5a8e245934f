"""The slow Gaussian approximation potential of oracle.py against quippy, on random cells of several elements."""

import hashlib

import numpy as np
import pytest
from ase import Atoms

from tests.potentials.gap import oracle

descriptors = pytest.importorskip("quippy.descriptors")
potential = pytest.importorskip("quippy.potential")

NEAR = {"rtol": 1e-10, "atol": 1e-12}


def cell(seed: int, symbols: str = "SiCSiGe", edge: float = 4.5) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms(symbols, cell=edge * np.eye(3) + rng.random((3, 3)), pbc=True)
    atoms.set_scaled_positions(rng.random((len(atoms), 3)))
    return atoms


def quip(text: str, atoms: Atoms):
    return descriptors.Descriptor(text).calc(atoms)


def quip_energies(tmp_path, atoms: Atoms, text, points_mk, delta, cutoff_m, weights_m, *, kernel, perms=((0,),)):
    """Energies of the atoms from quippy, of one term in a file made here."""
    points = "".join(f"{x:.20e}\n" for x in np.ravel(points_mk))
    (tmp_path / "gp.xml.sparseX.gp1").write_text(points)
    attributes = dict(
        label="gp1",
        dimensions=np.shape(points_mk)[1],
        signal_variance=delta,
        signal_mean=0.0,
        sparsified="T",
        n_permutations=len(perms),
        n_sparseX=len(points_mk),
        sparseX_filename="gp.xml.sparseX.gp1",
        sparseX_md5sum=hashlib.md5(points.encode()).hexdigest(),
        **{k: v for k, v in kernel.items() if k != "theta"},
    )
    lines = [
        '<gp><Potential label="gp" init_args="IP GAP label=gp"/><GAP_params label="gp" gap_version="1596837814">',
        '<GAP_data do_core="F"><e0 Z="14" value="0.0"/></GAP_data><gpSparse label="gp" n_coordinate="1" fitted="T">',
        "<gpCoordinates " + " ".join(f'{k}="{v}"' for k, v in attributes.items()) + ">",
        *([f"<theta>{' '.join(map(str, kernel['theta']))}</theta>"] if "theta" in kernel else []),
        f"<descriptor>{text}</descriptor>",
        *(f'<permutation i="{i}">{" ".join(str(q + 1) for q in p)}</permutation>' for i, p in enumerate(perms, 1)),
        *(f'<sparseX i="{m + 1}" alpha="{w!r}" sparseCutoff="{c!r}"/>'
          for m, (w, c) in enumerate(zip(map(float, weights_m), map(float, cutoff_m), strict=True))),
        "</gpCoordinates></gpSparse></GAP_params></gp>",
    ]  # fmt: skip
    (tmp_path / "gp.xml").write_text("\n".join(lines))
    calculator = potential.Potential("", param_filename=str(tmp_path / "gp.xml"))
    calculator.calculate(atoms, properties=["energy", "energies"])
    return calculator.results["energies"]


def same_rows(a, b):
    """Whether the same rows stand in both, in any order."""
    a, b = (np.array(sorted(np.round(np.asarray(x), 13).tolist())) for x in (a, b))
    np.testing.assert_allclose(a, b, **NEAR)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("species", "options", "ours"),
    [
        ((6,), "", {}),
        ((6, 14), "", {}),
        ((14, 6), "", {}),
        ((32, 6, 14), "", {}),
        ((6, 14), "central_weight=0.3", {"central_weight": 0.3}),
        ((6, 14), "covariance_sigma0=0.2", {"sigma0": 0.2}),
    ],
)
def test_soap(seed, species, options, ours):
    atoms = cell(seed)
    size = {"n_max": 4, "l_max": 3, "cutoff": 4.0}
    text = "soap " + " ".join(f"{k}={v}" for k, v in size.items()) + " atom_sigma=0.5 cutoff_transition_width=0.7"
    text += f" n_species={len(species)} species_Z={{{' '.join(map(str, species))}}} n_Z=3 Z={{6 14 32}} {options}"
    found = quip(text, atoms)
    for i, p in zip(found["ci"], found["data"], strict=True):
        mine = oracle.soap(atoms, i - 1, species=species, width=0.7, sigma=0.5, **size, **ours)
        if np.isnan(p).any():  # a centre that is none of the species and sees none
            continue
        np.testing.assert_allclose(mine, p, rtol=0, atol=1e-13)


def test_pairs_and_triplets_are_those_of_quip():
    atoms = cell(1, "SiCSiGeSi")
    for pair in ((6, 14), (14, 14)):
        seen = oracle.distances(atoms, pair, 3.9, 0.7)
        found = quip(f"distance_2b cutoff=3.9 cutoff_transition_width=0.7 Z1={pair[0]} Z2={pair[1]}", atoms)
        same_rows(np.c_[seen.x_dk, seen.cut_d], np.c_[found["data"], found["covariance_cutoff"]])
    for centre, others in ((14, (6, 32)), (14, (14, 14)), (6, (14, 14))):
        seen = oracle.angles(atoms, centre, others, 3.9, 0.7)
        found = quip(
            f"angle_3b cutoff=3.9 cutoff_transition_width=0.7 Z_center={centre} Z1={others[0]} Z2={others[1]}", atoms
        )
        same_rows(np.c_[seen.x_dk, seen.cut_d], np.c_[found["data"], found["covariance_cutoff"]])
    seen = oracle.triplets(atoms, (6, 14, 32), 3.9, 0.7)
    found = quip("distance_Nb order=3 compact_clusters=T cutoff=3.9 cutoff_transition_width=0.7 Z={6 14 32}", atoms)
    same_rows(np.c_[seen.x_dk, seen.cut_d], np.c_[found["data"], found["covariance_cutoff"]])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("zeta", [4, 2.5])
def test_energy_of_soap(tmp_path, seed, zeta):
    atoms, rng = cell(seed, "SiCSi"), np.random.default_rng(seed)
    size = {"n_max": 3, "l_max": 2, "cutoff": 4.0}
    text = "soap " + " ".join(f"{k}={v}" for k, v in size.items()) + " atom_sigma=0.5 cutoff_transition_width=0.7"
    text += " n_species=2 species_Z={6 14} n_Z=1 Z=14"
    points_mk = quip(text, cell(seed + 9, "Si3C2"))["data"]
    weights_m = rng.normal(size=len(points_mk))
    theirs = quip_energies(
        tmp_path, atoms, text, points_mk, 0.6, np.ones(len(points_mk)), weights_m,
        kernel={"covariance_type": 2, "zeta": zeta},
    )  # fmt: skip
    p_dk = [oracle.soap(atoms, i, species=(6, 14), width=0.7, sigma=0.5, **size) for i in (0, 2)]
    seen = oracle.Seen(np.array(p_dk), np.ones(2), [(0,), (2,)])
    k_dm = oracle.powered(p_dk, points_mk, zeta)
    np.testing.assert_allclose(
        oracle.energies(atoms, seen, k_dm, 0.6, np.ones(len(points_mk)), weights_m), theirs, **NEAR
    )


TERMS = {
    "distance, unlike": ("distance_2b Z1=14 Z2=6", oracle.distances, ((6, 14),)),
    "distance, like": ("distance_2b Z1=14 Z2=14", oracle.distances, ((14, 14),)),
    "angle, unlike": ("angle_3b Z_center=14 Z1=14 Z2=6", oracle.angles, (14, (6, 14))),
    "angle, like legs": ("angle_3b Z_center=6 Z1=14 Z2=14", oracle.angles, (6, (14, 14))),
    "angle, like": ("angle_3b Z_center=14 Z1=14 Z2=14", oracle.angles, (14, (14, 14))),
    "triplet, like": ("distance_Nb order=3 compact_clusters=T Z={14 14 14}", oracle.triplets, ((14, 14, 14),)),
    "triplet, unlike": ("distance_Nb order=3 compact_clusters=T Z={6 14 32}", oracle.triplets, ((6, 14, 32),)),
    "connected, like": ("distance_Nb order=3 compact_clusters=F Z={14 14 14}", oracle.connected, ((14, 14, 14),)),
    "connected, mixed": ("distance_Nb order=3 compact_clusters=F Z={6 14 14}", oracle.connected, ((6, 14, 14),)),
    "connected, unlike": ("distance_Nb order=3 compact_clusters=F Z={6 14 32}", oracle.connected, ((6, 14, 32),)),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", TERMS)
def test_energy_of_pairs_and_triplets(tmp_path, name, seed):
    text, see, species = TERMS[name]
    text += " cutoff=3.4 cutoff_transition_width=0.8"
    atoms, rng = cell(seed, "SiCSiGeSi"), np.random.default_rng(seed)
    seen = see(atoms, *species, 3.4, 0.8)
    perms = oracle.slots(species[0]) if "Nb" in text else ((*range(seen.x_dk.shape[1]),),)
    if "Nb" in text:
        assert sorted(perms) == sorted(tuple(p) for p in (descriptors.Descriptor(text).permutations() - 1).tolist())
    points_mk = rng.uniform(1.5, 3.0, (4, seen.x_dk.shape[1]))
    lengths = rng.uniform(0.7, 1.4, seen.x_dk.shape[1])
    cutoff_m, weights_m = rng.uniform(0.2, 1.0, 4), rng.normal(size=4)
    theirs = quip_energies(
        tmp_path, atoms, text, points_mk, 0.6, cutoff_m, weights_m,
        kernel={"covariance_type": 1, "theta": lengths}, perms=perms,
    )  # fmt: skip
    k_dm = oracle.gaussian(seen.x_dk, points_mk, lengths, perms)
    ours = oracle.energies(atoms, seen, k_dm, 0.6, cutoff_m, weights_m)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * np.abs(theirs).max())
