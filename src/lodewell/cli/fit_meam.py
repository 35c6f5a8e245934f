"""`lodewell fit meam`: a spline MEAM."""

from __future__ import annotations

from lodewell.cli._fit_common import OutPotential, TestPaths, TrainPaths, fit_and_show
from lodewell.cli.fields import takes
from lodewell.cli.options import AsJson, ClusterSpec, Restart, WorkerCount
from lodewell.fit.meam.options import MEAMOptions


@takes(MEAMOptions, config=True)
def command(
    train: TrainPaths,
    out: OutPotential,
    test: TestPaths = None,
    options: MEAMOptions = MEAMOptions(),  # noqa: B008 frozen
    workers: WorkerCount = None,
    cluster: ClusterSpec = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Fit a spline MEAM to energies, forces and stresses: many restarts of least squares, the best ones followed.

    An interrupted fit leaves the best so far in FILE, and FILE.partial, from which the same command goes on.
    """
    from lodewell.fit.meam.run import fit_meam_files

    fit_and_show("meam", fit_meam_files, train, test, out, options, workers, cluster, as_json, restart)
