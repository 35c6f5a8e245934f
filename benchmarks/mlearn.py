"""The mlearn sets of six elements (Zuo et al., 2020), and the test errors that others reached on them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness import DATA

ELEMENTS = ("Si", "Ge", "Li", "Mo", "Ni", "Cu")
# Test MAE of energies (meV/atom) and force components (eV/Å). The reference package of UF potentials (2 + 3 body, about
# 915 coefficients) was run on these sets with the cutoffs of `uf/cases.py`; the others are as published.
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "reference": {"Si": (7.3, 0.0962), "Ge": (10.2, 0.0737), "Li": (0.76, 0.0128), "Mo": (5.1, 0.1115),
                  "Ni": (0.69, 0.0179), "Cu": (0.48, 0.0095)},
    "reference, pairs": {"Si": (30.0, 0.226), "Ge": (37.2, 0.176), "Li": (3.8, 0.0255), "Mo": (13.6, 0.230),
                         "Ni": (5.1, 0.038), "Cu": (4.8, 0.024)},
    "SNAP": {"Si": (6.4, 0.133), "Ge": (6.6, 0.188), "Li": (1.03, 0.0277), "Mo": (5.5, 0.207), "Ni": (0.78, 0.0377),
             "Cu": (0.53, 0.0371)},
    "qSNAP": {"Si": (3.8, 0.116), "Ge": (6.4, 0.133), "Li": (0.73, 0.0328), "Mo": (2.8, 0.184), "Ni": (0.78, 0.0308),
              "Cu": (0.56, 0.0241)},
    "NNP": {"Si": (5.6, 0.109), "Ge": (4.9, 0.085), "Li": (0.75, 0.0168), "Mo": (3.7, 0.125), "Ni": (1.5, 0.030),
            "Cu": (1.15, 0.026)},
    "GAP": {"Si": (2.9, 0.07), "Ge": (2.1, 0.05), "Li": (0.49, 0.01), "Mo": (2.2, 0.09), "Ni": (0.42, 0.02),
            "Cu": (0.46, 0.01)},
    "MTP": {"Si": (2.3, 0.056), "Ge": (1.8, 0.0465), "Li": (0.49, 0.0101), "Mo": (2.9, 0.090), "Ni": (0.48, 0.014),
            "Cu": (0.41, 0.0069)},
}  # fmt: skip


def file_of(element: str, kind: str) -> Path:
    """Return the file of the training or the test frames."""
    return DATA / "mlearn" / f"{element}-{kind}.extxyz.gz"
