"""`lodewell fit gap`: a Gaussian approximation potential."""

from __future__ import annotations

from lodewell.cli._fit_common import OutPotential, TestPaths, TrainPaths, fit_and_show
from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, ClusterSpec, Restart, WorkerCount
from lodewell.fit.gap.options import GAPOptions


@takes(GAPOptions, config=True)
def command(
    train: TrainPaths,
    out: OutPotential,
    test: TestPaths = None,
    options: GAPOptions = GAPOptions(),  # noqa: B008 frozen
    workers: WorkerCount = None,
    cluster: ClusterSpec = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Fit a Gaussian approximation potential (GAP) to energies, forces and stresses."""
    from lodewell.fit.gap.run import fit_gap_files

    fit_and_show("gap", fit_gap_files, train, test, out, options, workers, cluster, as_json, restart)
