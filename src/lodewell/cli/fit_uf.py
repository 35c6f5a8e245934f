"""`lodewell fit uf`: a two- and three-body spline potential."""

from __future__ import annotations

from lodewell.cli._fit_common import OutPotential, TestPaths, TrainPaths, fit_and_show
from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, ClusterSpec, Restart, WorkerCount
from lodewell.fit.uf.options import UFOptions


@takes(UFOptions, config=True)
def command(
    train: TrainPaths,
    out: OutPotential,
    test: TestPaths = None,
    options: UFOptions = UFOptions(),  # noqa: B008 frozen
    workers: WorkerCount = None,
    cluster: ClusterSpec = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Fit two- and three-body splines (UF) to energies, forces and stresses by linear least squares."""
    from lodewell.fit.uf.run import fit_uf_files

    fit_and_show("uf", fit_uf_files, train, test, out, options, workers, cluster, as_json, restart)
