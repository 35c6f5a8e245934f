"""QUIP's files of Gaussian approximation potentials: what quippy makes of them and what we do, in both directions."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from tests.potentials.gap import oracle
from tests.potentials.made_up_uf import made_up_uf
from typer.testing import CliRunner

import lodewell
from lodewell.cli import app
from lodewell.descriptors.environments import Angle, Distance, Soap, Triplet
from lodewell.descriptors.legs import Legs
from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.interop.quip.gap import read_quip, write_quip
from lodewell.potentials.check import check_potential
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.potentials.pairs.pair import ZBL, Morse
from lodewell.potentials.pairs.table import PairTable
from lodewell.potentials.statistical.statistical import Statistical

SOAP = Soap(14, (14, 6), 4.2, 0.8, 4, 3, 0.5, 4.0, 0.9)
TERMS = [
    Distance((6, 14), 4.5, 0.9, 1.1),
    Distance((14, 14), 5.0, 1.0, 0.8),
    Angle(14, (6, 14), 3.2, 0.7, (1.2, 0.9, 1.4)),
    Angle(6, (14, 14), 3.1, 0.6, (1.5, 0.8, 1.1)),
    SOAP,
    replace(SOAP, centre=6, species=(6, 14), n_max=3, l_max=2, zeta=2.0, central_weight=1.0),
]


def crystal(seed: int, symbols: str = "Si3C3", edge: float = 4.6) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms(symbols, cell=edge * np.eye(3) + rng.uniform(-0.6, 0.6, (3, 3)), pbc=True)
    atoms.set_scaled_positions(rng.uniform(size=(len(atoms), 3)))
    return atoms


def gap(seed: int = 0, descriptors=tuple(TERMS), baseline=None) -> GAP:
    """A potential with sparse points of random crystals and weights of any sign."""
    rng = np.random.default_rng(seed)
    atoms = crystal(seed + 50)
    terms = []
    for d in descriptors:
        if isinstance(d, Soap):
            size = {"cutoff": d.cutoff, "width": d.width, "n_max": d.n_max, "l_max": d.l_max, "sigma": d.sigma}
            centres = [i for i, z in enumerate(atoms.numbers) if z == d.centre]
            points = [
                oracle.soap(atoms, i, species=d.species, central_weight=d.central_weight, **size)[:-1] for i in centres
            ]
            x_md, cut_m = np.array(points), np.ones(len(points))
        else:
            if isinstance(d, Distance):
                seen = oracle.distances(atoms, d.species, d.cutoff, d.width)
            elif isinstance(d, Triplet):
                seen = oracle.triplets(atoms, d.species, d.cutoff, d.width)
            else:
                seen = oracle.angles(atoms, d.centre, d.others, d.cutoff, d.width)
            some = rng.choice(len(seen.cut_d), 5, replace=False)
            x_md, cut_m = seen.x_dk[some], seen.cut_d[some]
        terms.append(Term(d, rng.uniform(0.3, 1.5), x_md, cut_m, rng.normal(size=len(cut_m))))
    return GAP({6: -1.25, 14: 0.75}, terms, baseline)


@pytest.fixture(scope="module")
def quippy():
    return pytest.importorskip("quippy.potential")


def quip(calculator, atoms: Atoms):
    """Energy, energies of atoms, forces and stress by quippy."""
    calculator.calculate(atoms, properties=["energy", "energies", "forces", "stress"])
    r = calculator.results
    xx, yy, zz, yz, xz, xy = r["stress"]
    return r["energy"], r["energies"], r["forces"], np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def assert_agree(quippy, path: Path, potential: GAP, crystals: list[Atoms], tolerance: float = 1e-8) -> None:
    calculator = quippy.Potential("", param_filename=str(path))
    for atoms in crystals:
        energy, energies, forces, stress = quip(calculator, atoms)
        (ours,) = potential.evaluate(atoms)
        scale, tiny = np.abs(energies).max(), 1e-12
        assert ours.energy == pytest.approx(energy, abs=tolerance * scale * len(atoms))
        assert np.abs(ours.energies_n - energies).max() < tolerance * scale
        assert np.abs(ours.forces_nc - forces).max() < tolerance * np.abs(forces).max() + tiny
        assert np.abs(ours.stress_cc - stress).max() < tolerance * np.abs(stress).max() + tiny


@pytest.mark.parametrize("seed", range(3))
def test_quip_agrees_with_what_we_write(quippy, tmp_path, seed):
    potential = gap(seed)
    path, *_ = write_quip(potential, None, tmp_path)
    assert_agree(quippy, path, potential, [crystal(seed), crystal(seed + 10, "Si2C5")])
    again = read_quip(path)
    assert again.energies == potential.energies
    for term, old in zip(again.terms, potential.terms, strict=True):
        assert term.descriptor == old.descriptor
        assert term.delta == old.delta
        np.testing.assert_array_equal(term.points_md, old.points_md)
        np.testing.assert_array_equal(term.cutoff_m, old.cutoff_m)
        np.testing.assert_array_equal(term.weights_m, old.weights_m)


def bowl(end: float, *pairs: str) -> PairTable:
    r = np.linspace(0.3, end, 40)
    return PairTable({pair: (r, (k + 2.0) * (end - r) ** 3) for k, pair in enumerate(pairs)}, spacing=0.013)


BASELINES = {
    "table": bowl(2.6, "Si-Si", "C-Si"),
    "uf": lodewell.UF({6: 0.0, 14: 0.0}, made_up_uf("Si", "C", seed=2).pairs),
    "sum": 0.5 * bowl(2.1, "Si-C", "C-C") + bowl(3.0, "C-Si"),
    "morse": Morse({"Si-Si": (1.0, 1.7, 2.2), "C-Si": (0.4, 1.5, 1.8), "C-C": (2.0, 1.6, 1.5)}, cutoff=4.0),
}


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_of_pairs_go_along(quippy, tmp_path, name):
    potential = gap(1, TERMS[:1], BASELINES[name])
    path, *_ = write_quip(potential, "Si,C", tmp_path)
    apart = [a for a in map(crystal, range(40)) if np.min(a.get_all_distances(mic=True) + 9 * np.eye(6)) > 0.7]
    assert len(apart) >= 2
    assert_agree(quippy, path, potential, apart[:3])
    again = read_quip(path)
    for atoms in apart[:3]:
        (ours,), (theirs,) = potential.evaluate(atoms), again.evaluate(atoms)
        assert theirs.energy == pytest.approx(ours.energy, rel=1e-8)
        assert np.abs(theirs.forces_nc - ours.forces_nc).max() < 1e-8 * np.abs(ours.forces_nc).max()


def test_a_wall_agrees_at_any_distance(quippy, tmp_path):
    wall = BASELINES["table"]
    path, *_ = write_quip(gap(1, TERMS[:1], wall), None, tmp_path)
    assert_agree(quippy, path, gap(1, TERMS[:1], wall), [Atoms("Si2", [[0, 0, 0], [0, 0, r]], cell=[9, 9, 9], pbc=True)
                                                         for r in (0.01, 0.05, 1.0, 2.599, 2.601)])  # fmt: skip


def test_baselines_that_quip_cannot_express(tmp_path):
    table = lodewell.load("spp")
    assert isinstance(table, Statistical)
    variant_p = np.where(np.arange(len(table.pairs_pz)) == 0, 0, -1)
    by_class = Statistical(
        table.pairs_pz, table.u_pk, table.evidence, table.known, cutoff=table.cutoff, variant_p=variant_p
    )
    for baseline, why in (
        (made_up_uf("C", "Si"), "no sum over pairs"),
        (gap(), "no sum over pairs"),
        (by_class, "classes of crystals"),
    ):
        with pytest.raises(BadOption, match=why):
            write_quip(gap(0, TERMS[:1], baseline), None, tmp_path)
    assert not list(tmp_path.iterdir())


def test_some_elements(quippy, tmp_path):
    potential = gap(2)
    paths = write_quip(potential, "Si", tmp_path, name="silicon")
    assert_agree(quippy, paths[0], potential, [crystal(3, "Si5")])
    assert paths[-1].name == "silicon.in"
    assert 'silicon.xml "Potential xml_label=GAP_lodewell" 14\n' in paths[-1].read_text()
    assert "<GAP_lodewell>" in paths[0].read_text()
    whole, *_ = write_quip(potential, None, tmp_path / "whole")
    assert read_quip(whole, "Si").species == {14}
    with pytest.raises(UnsupportedElement, match="nothing of Ge; it holds C, Si"):
        read_quip(whole, "Ge")
    with pytest.raises(UnsupportedElement):
        read_quip(whole).evaluate(crystal(0, "SiGe"))
    with pytest.raises(BadOption, match="add the centre's own"):
        write_quip(gap(0, [replace(SOAP, species=(6,))]), None, tmp_path)


# --------------------------------------------------------------------------------------------------- files of gap_fit

GAP_FIT = {
    "pairs, angles and soap": "distance_2b cutoff=4.0 covariance_type=ard_se delta=1.0 theta_uniform=1.2 n_sparse=5 "
    "sparse_method=uniform : angle_3b cutoff=3.0 cutoff_transition_width=0.6 covariance_type=ard_se delta=0.3 "
    "theta_fac=0.5 n_sparse=5 : soap l_max=3 n_max=4 atom_sigma=0.5 cutoff=4.0 cutoff_transition_width=0.7 delta=0.5 "
    "covariance_type=dot_product zeta=4 n_sparse=5 sparse_method=cur_points",
    "one soap of all": "soap l_max=2 n_max=3 atom_gaussian_width=0.6 cutoff=3.5 cutoff_transition_width=0.5 delta=1.0 "
    "covariance_type=dot_product zeta=2 n_sparse=6 n_species=2 species_Z={{6 14}} n_Z=2 Z={{14 6}} add_species=F "
    "central_weight=0.5 normalise=T average=F",
    "triplets": "distance_Nb order=3 cutoff=3.2 cutoff_transition_width=0.8 covariance_type=ard_se delta=1.0 "
    "theta_fac=0.5 n_sparse=6 Z={{14 14 14}} add_species=F compact_clusters=T : distance_2b cutoff=4.0 delta=1.0 "
    "covariance_type=ard_se theta_uniform=1.0 n_sparse=3",
    "distance_Nb": "distance_Nb order=2 cutoff=4.0 cutoff_transition_width=0.8 covariance_type=ard_se delta=1.0 "
    "theta_uniform=1.0 n_sparse=4 Z={{6 14}} add_species=F",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(quippy, tmp_path_factory):
    """Make, once each, what gap_fit makes of some random crystals."""

    def make(what: str, *options: str) -> Path:
        place = tmp_path_factory.mktemp("fit")
        rng = np.random.default_rng(0)
        frames = [crystal(k) for k in range(8)]
        for a in frames:
            a.info["energy"] = rng.normal()
            a.arrays["force"] = rng.normal(size=(len(a), 3))
        write(place / "train.xyz", frames, columns=["symbols", "positions", "force"])
        fit = [str(Path(sys.executable).parent / "gap_fit"), "at_file=train.xyz", f"gap={{{GAP_FIT.get(what, what)}}}"]
        fit += ["default_sigma={0.1 1.0 1.0 0}", "e0={Si:-1.5:C:-2.0}", "gp_file=gp.xml", "rnd_seed=3", *options]
        done = subprocess.run(fit, cwd=place, capture_output=True, text=True, check=False)
        assert (place / "gp.xml").exists(), done.stdout[-600:] + done.stderr[-600:]
        return place / "gp.xml"

    return make


@pytest.mark.parametrize("options", [(), ("sparse_separate_file=F",)], ids=["", "points in the XML"])
@pytest.mark.parametrize("what", GAP_FIT)
def test_files_of_gap_fit(quippy, made, tmp_path, what, options):
    path = made(what, *options)
    potential = lodewell.load(path)
    assert potential.species == {6, 14}
    crystals = [crystal(k) for k in range(20, 23)]
    assert_agree(quippy, path, potential, crystals)
    back, *_ = write_quip(potential, None, tmp_path)
    assert_agree(quippy, back, potential, crystals)


BLIND = (
    "soap l_max=2 n_max=3 atom_sigma=0.5 cutoff=4.0 delta=0.5 covariance_type=dot_product zeta=4 n_sparse=5 Z=14 "
    "add_species=F sparse_method=cur_points"
)


@pytest.mark.parametrize("species", [(14, 14, 14), (6, 14, 32)])
def test_triplets_of_distances(quippy, tmp_path, species):
    atoms = [crystal(k, "Si3C2Ge2") for k in range(4)]
    seen = oracle.triplets(atoms[3], species, 3.3, 0.9)
    rng = np.random.default_rng(1)
    some = rng.choice(len(seen.cut_d), 6, replace=False)
    d = Triplet(species, 3.3, 0.9, (0.9, 1.3, 1.1))
    term = Term(d, 0.7, seen.x_dk[some], seen.cut_d[some], rng.normal(size=6))
    potential = GAP({6: 0.5, 14: -1.0, 32: 0.25}, [term])
    path, *_ = write_quip(potential, None, tmp_path)
    assert_agree(quippy, path, potential, atoms[:3])
    again = read_quip(path)
    assert again.terms[0].descriptor == d
    perms = oracle.slots(species)
    for a in atoms:
        seen = oracle.triplets(a, species, 3.3, 0.9)
        k_dm = oracle.gaussian(seen.x_dk, term.points_md, d.lengths, perms)
        slow = oracle.energies(a, seen, k_dm, term.delta, term.cutoff_m, term.weights_m)
        (ours,) = potential.evaluate(a)
        lone = np.array([potential.energies[z] for z in a.numbers])
        np.testing.assert_allclose(ours.energies_n - lone, slow, rtol=0, atol=1e-11 * np.abs(slow).max())
        kernel = term.kernel()
        np.testing.assert_allclose(kernel.covariance(seen.x_dk, term.points_md), term.delta**2 * k_dm, rtol=1e-10)
        found = np.concatenate([kernel.environments(legs).x_ed for legs in Legs.of_atoms(a, 3.3)])
        assert np.sort(found, axis=None) == pytest.approx(np.sort(seen.x_dk, axis=None), abs=1e-10)
    assert check_potential(potential) == []
    with pytest.raises(BadOption, match="read from files, not fitted"):
        kernel.rows(*[None] * 3)
    with pytest.raises(BadOption, match="without uncertainties"):
        kernel.self_covariance(None, 1)
    with pytest.raises(BadOption, match="three equal or three different"):
        Triplet((6, 6, 14), 3.0, 0.5, (1.0, 1.0, 1.0))


def test_triplets_that_quip_makes_ambiguous(made):
    text = "distance_Nb order=3 cutoff=3.2 covariance_type=ard_se delta=1.0 theta_uniform=1.0 n_sparse=4 add_species=F"
    with pytest.raises(BadFile, match="changes with the order of the atoms in QUIP"):
        lodewell.load(made(f"{text} Z={{{{6 6 14}}}}"))
    with pytest.raises(BadFile, match="compact_clusters=F"):
        lodewell.load(made(f"{text} Z={{{{6 6 6}}}} compact_clusters=F"))


def test_a_soap_that_takes_all_elements_for_one(quippy, made):
    """Right for a potential of one element, which ours then knows; with more there is nothing like it."""
    path = made(BLIND)
    assert_agree(quippy, path, lodewell.load(path), [crystal(k, "Si4") for k in range(3)])
    with pytest.raises(BadFile, match="names no species_Z"):
        lodewell.load(made(f"{BLIND} : {GAP_FIT['distance_Nb']}"))


def test_sums_with_other_potentials_are_named(made, tmp_path):
    core = tmp_path / "lj.xml"
    core.write_text(
        '<LJ_params n_types="2"><per_type_data type="1" atomic_num="14"/><per_type_data type="2" atomic_num="6"/>'
        + "".join(
            f'<per_pair_data type1="{a}" type2="{b}" sigma="2.0" eps6="1.0" eps12="1.0" cutoff="5.0" energy_shift="T" '
            'linear_force_shift="F"/>'
            for a, b in ((1, 1), (1, 2), (2, 2))
        )
        + "</LJ_params>"
    )
    path = made(GAP_FIT["distance_Nb"], "core_ip_args={IP LJ}", f"core_param_file={core}")
    with pytest.raises(BadFile, match="adds the potential 'IP LJ'"):
        lodewell.load(path)


# ------------------------------------------------------------------------------------------------------------ bad files


@pytest.fixture
def good(tmp_path) -> Path:
    path, *_ = write_quip(gap(0, [TERMS[0], TERMS[2], SOAP]), None, tmp_path)
    return path


def changed(path: Path, *changes: tuple[str, str]) -> Path:
    text = path.read_text()
    for pattern, by in changes:
        text, count = re.subn(pattern, by, text, count=1)
        assert count
    path.write_text(text)
    return path


WRONG = {
    "soap_turbo": ((("soap cutoff", "soap_turbo cutoff"),), "descriptor 'soap_turbo'"),
    "general_dimer": ((("distance_2b", "general_dimer"),), "descriptor 'general_dimer'"),
    "quadruplets": ((("distance_2b", "distance_Nb order=4"), ("Z1=6 Z2=14", "Z={6 6 6 6}")), "Nb of order 4"),
    "compressed": ((("l_max", "R_mix=T l_max"),), "option r_mix=T"),
    "radial basis": ((("l_max", "radial_basis=GTO l_max"),), "option radial_basis=GTO"),
    "unheard of": ((("l_max", "colour=red l_max"),), "option colour=red"),
    "average": ((("l_max", "average=T l_max"),), "option average=T"),
    "any element": ((("Z1=6", ""),), "any element.*z1"),
    "any centre": ((("n_Z=1 Z=14", ""),), "around any element"),
    "covariance": ((('covariance_type="1"', 'covariance_type="4"'),), "piecewise polynomial"),
    "covariance of soap": ((('covariance_type="2"', 'covariance_type="3"'),), "bond_real_space"),
    "mean": ((('signal_mean="0.0"', 'signal_mean="0.5"'),), "mean f0 = 0.5"),
    "old": ((('gap_version="[0-9]*"', 'gap_version="1400000000"'),), "before March 2015"),
    "dimensions": ((("n_max=4", "n_max=5"),), "should have 221 dimensions by its description, not 145"),
    "no number": ((("n_max=4", "n_max=four"),), "n_max=four, which is no number"),
    "cutoff": ((("cutoff=4.5", "cutoff=3.5"),), r"cutoff 3.5 Å, by which sparse point \d would have the factor"),
    "cutoff of angles": ((("cutoff=3.2", "cutoff=2.2"),), "do not belong together"),
    "points lost": ((('<sparseX i="1".*/>', ""),), "4 of 5 weights"),
    "no weights": ((("alpha=", "beta="),), "cannot be made out"),
    "baseline": ((("IP GAP label", "Sum init_args_pot1={IP Tersoff} init_args_pot2={IP GAP label"),), "'IP Tersoff'"),
    "no points file": ((("sparseX.GAP_lodewell1", "sparseX.lost"),), "'lodewell.xml.sparseX.lost', are not beside it"),
    "other points": ((("sparseX.GAP_lodewell1", "sparseX.GAP_lodewell2"),), "not those it was written with"),
    "other points, no md5": (
        (("sparseX.GAP_lodewell1", "sparseX.GAP_lodewell2"), ('sparseX_md5sum="[0-9a-f]*"', "")),
        "needs 5 sparse points of 1 numbers, but .* holds 15 numbers",
    ),
    "two of them": ((("</GAP_lodewell>", "<GAP_params/></GAP_lodewell>"),), "holds 2"),
    "none": (((r"(?s)<GAP_params.*</GAP_params>", ""),), "holds no Gaussian"),
    "cut short": (((r"(?s)</gpCoordinates>.*", ""),), "no XML, or cut short"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(good, name):
    changes, why = WRONG[name]
    with pytest.raises(BadFile, match=why) as refusal:
        read_quip(changed(good, *changes))
    assert str(refusal.value).startswith(str(good))


def test_points_cut_short(good):
    points = good.with_name("lodewell.xml.sparseX.GAP_lodewell3")
    text = points.read_text()
    points.write_text(text[: len(text) // 2])
    with pytest.raises(BadFile, match="cut short, changed, or of another"):
        read_quip(good)
    changed(good, *[(r' sparseX_md5sum="[0-9a-f]*"', "")] * 3)
    with pytest.raises(BadFile, match=r"needs 3 sparse points of 145 numbers, but .* cut short|a number a line"):
        read_quip(good)
    points.unlink()
    with pytest.raises(BadFile, match="not beside it: copy that file into the same folder"):
        read_quip(good)


def test_from_the_command_line(tmp_path):
    saved = gap(4).save(tmp_path / "gp")
    for to in ("quip", "lammps"):
        done = CliRunner().invoke(app, ["export", str(saved), "--to", to, "--out", str(tmp_path / to)])
        assert done.exit_code == 0, done.output
        assert "lodewell.in" in done.output
        (ours,), (theirs,) = (
            gap(4).evaluate(crystal(1)),
            lodewell.load(tmp_path / to / "lodewell.xml").evaluate(crystal(1)),
        )
        assert theirs.energy == pytest.approx(ours.energy, rel=1e-12)
    done = CliRunner().invoke(app, ["export", "spp", "--to", "quip", "-e", "Si,O", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "hold Gaussian approximation potentials" in done.output
    with pytest.raises(BadOption, match="not the kind 'zbl'"):
        lodewell.export(ZBL(), to="quip", out=tmp_path)
