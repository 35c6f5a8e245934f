"""TorchSim's part of drivers.py, in its own environment: relax a file of copper crystals, print one line of JSON.

python benchmarks/relax/torchsim.py CRYSTALS.extxyz DEPTH ALPHA R0 CUTOFF FMAX
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch_sim as ts
from ase.io import read
from torch_sim.models.morse import MorseModel


def main() -> None:
    """Relax twice, the first time to warm up."""
    torch.set_num_threads(1)
    depth, alpha, r0, cutoff, fmax = map(float, sys.argv[2:7])
    crystals = read(sys.argv[1], ":")
    for atoms in crystals:
        atoms.calc = None
    model = MorseModel(
        sigma=r0, epsilon=depth, alpha=alpha, cutoff=cutoff, dtype=torch.float64, device=torch.device("cpu"),
        compute_forces=True, compute_stress=True,
    )  # fmt: skip
    converged = ts.generate_force_convergence_fn(fmax, include_cell_forces=True)

    def run(some: list) -> torch.Tensor:
        if hasattr(ts, "frechet_cell_fire"):
            how = {"optimizer": ts.frechet_cell_fire}
        else:
            how = {"optimizer": ts.Optimizer.fire, "init_kwargs": {"cell_filter": ts.CellFilter.frechet}}
        state = ts.optimize(
            system=some, model=model, convergence_fn=converged, max_steps=2000, steps_between_swaps=5,
            autobatcher=False, **how,
        )  # fmt: skip
        return state.energy

    run(crystals[:4])
    wall, cpu = time.perf_counter(), time.process_time()
    energies = run(crystals)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    per_atom = (energies.detach().numpy() / len(crystals[0])).tolist()
    count = len(crystals)
    print(json.dumps({"version": version("torch-sim-atomistic"), "rate": count / cpu, "wall_rate": count / wall,
                      "energies": per_atom}))  # fmt: skip


if __name__ == "__main__":
    main()
