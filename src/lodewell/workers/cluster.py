"""The Dask side of `lodewell.workers`: a scheduler, a local cluster, or jobs of a queue (extra `[cluster]`)."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lodewell.errors import BadFile, BadOption, LodewellError
from lodewell.workers.base import Workers, one_line
from lodewell.workers.dask import DaskWorkers
from lodewell.workers.open import usable_cores
from lodewell.yaml_file import read_yaml

KINDS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}
TLS_FILES = ("ca", "cert", "key")
CALLED_PROJECT = ("lsf", "sge", "oar")  # the account has this name there


@dataclass(frozen=True)
class QueueJobs:
    """Jobs of a queueing system, as a YAML file gives them; each key of the file is a field here."""

    kind: str
    """slurm, pbs, lsf, sge, oar, moab or htcondor."""
    jobs: int = 1
    """Number of jobs to submit."""
    cores: int = 1
    """Cores a job; each runs one worker unless `processes` says otherwise."""
    memory: str = "4 GB"
    """Memory a job."""
    processes: int | None = None
    """Workers a job."""
    queue: str | None = None
    """Queue or partition."""
    walltime: str | None = None
    """Longest time of a job, as the queue writes it."""
    account: str | None = None
    """Account or project that pays."""
    prologue: list[str] = field(default_factory=list)
    """Shell lines before the worker starts (module load ..., source .../activate)."""
    directives: list[str] = field(default_factory=list)
    """Further directives of the queue, without the leading #SBATCH or the like."""
    python: str | None = None
    """Interpreter on the compute nodes; default: the one that runs here."""
    interface: str | None = None
    """Network interface that compute nodes and this machine share (ib0, eth0)."""
    local_directory: str | None = None
    """Folder for scratch files of the workers."""
    log_directory: str | None = None
    """Folder for the output of the jobs."""
    security: dict[str, str] | str | None = None
    """Encryption: `temporary` (keys for this run alone), or files `{ca: ..., cert: ..., key: ...}`. Without it whoever
    reaches the port of the scheduler can run code in your name."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Anything else that the class of dask_jobqueue takes, by its name there."""

    @property
    def workers_per_job(self) -> int:
        """Workers a job."""
        return self.processes or self.cores

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the class of dask_jobqueue."""
        account = "project" if self.kind in CALLED_PROJECT else "account"
        given = {
            "queue": self.queue,
            "walltime": self.walltime,
            account: self.account,
            "job_script_prologue": self.prologue or None,
            "job_extra_directives": self.directives or None,
            "python": self.python,
            "interface": self.interface,
            "local_directory": self.local_directory,
            "log_directory": self.log_directory,
        }
        return {
            "cores": self.cores,
            "processes": self.workers_per_job,
            "memory": self.memory,
            "scheduler_options": {"dashboard_address": ":0"},
            **{key: value for key, value in given.items() if value is not None},
            **self.encryption(),
            **self.extra,
        }

    def encryption(self) -> dict[str, Any]:
        """Keyword arguments by which scheduler, workers and client speak TLS only, with the same certificate."""
        from distributed import Security

        if self.security is None:
            return {}
        if isinstance(self.security, dict):
            ca, cert, key = (str(Path(self.security[name]).expanduser()) for name in TLS_FILES)
            roles = {f"tls_{role}_{what}": file for role in ("scheduler", "worker", "client")
                     for what, file in (("cert", cert), ("key", key))}  # fmt: skip
            keys = Security(require_encryption=True, tls_ca_file=ca, **roles)
        else:
            try:
                keys = Security.temporary()
            except ImportError as error:
                raise LodewellError("security: temporary needs a package: pip install cryptography") from error
        return {"security": keys, "protocol": "tls://"}


def open_cluster(cluster: str, n: int | None = None) -> Workers:
    """Open Dask workers: "local", the address of a scheduler, or the YAML file of a queue.

    n: number of workers of a local cluster or a queue; a running scheduler has as many as it has.
    Raises LodewellError if the extra is missing or the scheduler is out of reach, BadFile or BadOption for the YAML.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise LodewellError(f"--cluster {cluster} needs Dask: pip install 'lodewell[cluster]'") from error
    if cluster == "local":
        n = n or usable_cores()
        # A chunk that kills a worker is tried again by `DaskWorkers.map`, alone; Dask need not insist as well.
        with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
            local = distributed.LocalCluster(
                n_workers=n, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.ERROR
            )
        return DaskWorkers(distributed.Client(local), n, owned=local)
    if "://" in cluster:
        try:
            client = distributed.Client(cluster)
        except (OSError, TimeoutError) as error:
            raise LodewellError(
                f"no Dask scheduler answers at {cluster} ({one_line(error)}): is it running, and is its version "
                f"of distributed ({distributed.__version__} here) the same?"
            ) from error
        return DaskWorkers(client, 1)
    path = Path(cluster)
    if not path.is_file():
        raise BadOption(
            f"--cluster {cluster}: no such file. Give 'local', the address of a scheduler (tcp://host:8786), "
            "or a YAML file that describes the jobs of a queue"
        )
    jobs = read_queue_file(path)
    queue = submit_jobs(jobs, n)
    return DaskWorkers(distributed.Client(queue), n or jobs.jobs * jobs.workers_per_job, owned=queue)


def read_queue_file(path: Path) -> QueueJobs:
    """Read the YAML file of a queue.

    Raises BadFile if it is not YAML, BadOption for a key or a value that does not fit, with the nearest that does.
    """
    content, _ = read_yaml(path)
    if not isinstance(content, Mapping):
        raise BadFile(f"{path} must hold keys and values, for example `kind: slurm`")
    known = [item.name for item in fields(QueueJobs)]
    for key in content:
        if key not in known:
            raise BadOption(f"{path}: unknown key '{key}'{_nearest(str(key), known)}; known are {', '.join(known)}")
    kind = str(content.get("kind", "")).lower()
    if kind not in KINDS:
        raise BadOption(f"{path}: unknown kind '{kind}'{_nearest(kind, list(KINDS))}; known are {', '.join(KINDS)}")
    for key in ("jobs", "cores", "processes"):
        value = content.get(key, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadOption(f"{path}: {key} is {value!r}, it must be a whole number of 1 or more")
    _check_security(path, content.get("security"))
    for key in ("prologue", "directives"):
        if not isinstance(content.get(key, []), list):
            raise BadOption(f"{path}: {key} must be a list, one line an item (`- module load python`)")
    values: dict[str, Any] = dict(content) | {"kind": kind}
    values |= {key: str(values[key]) for key in ("memory", "walltime") if key in values}
    return QueueJobs(**values)


def _check_security(path: Path, given: Any) -> None:
    """Refuse keys that are not all there, before a scheduler would listen without them."""
    if given is None or given == "temporary":
        return
    if not isinstance(given, Mapping) or set(given) != set(TLS_FILES):
        raise BadOption(f"{path}: security must be `temporary`, or files `{{ca: ..., cert: ..., key: ...}}`")
    for name in TLS_FILES:
        file = given[name]
        if not isinstance(file, str) or not Path(file).expanduser().is_file():
            raise BadOption(f"{path}: security: {name} is {file!r}, but there is no such file")


def submit_jobs(jobs: QueueJobs, n: int | None = None) -> Any:
    """Start a scheduler in this process and submit the jobs whose workers will join it.

    n: number of workers, if not that of the file. Returns the cluster object of dask_jobqueue.
    Raises BadOption if the queue's class does not take an argument, LodewellError if the queue cannot be asked.
    """
    queue = make_queue(jobs)
    try:
        queue.scale(jobs=-(-n // jobs.workers_per_job) if n else jobs.jobs)
    except Exception as error:
        queue.close()
        raise LodewellError(f"the {jobs.kind} jobs could not be submitted: {one_line(error)}") from error
    return queue


def make_queue(jobs: QueueJobs) -> Any:
    """Make the cluster object of dask_jobqueue, with a running scheduler but without jobs yet."""
    import dask
    import dask_jobqueue

    job_script(jobs)  # refuses what does not fit before anything is started
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        return getattr(dask_jobqueue, KINDS[jobs.kind])(**jobs.arguments())


def job_script(jobs: QueueJobs) -> str:
    """Write the script that would be submitted for each job; nothing is started.

    Raises BadOption if the queue's class does not take an argument.
    """
    import dask_jobqueue
    from dask_jobqueue.core import JobQueueCluster

    kind = getattr(dask_jobqueue, KINDS[jobs.kind])
    of_the_cluster = inspect.signature(JobQueueCluster.__init__).parameters
    given = jobs.arguments()
    # What a scheduler needs is no business of the script; temporary keys are written when the scheduler starts.
    arguments = {key: value for key, value in given.items() if key not in of_the_cluster or key == "protocol"}
    if isinstance(jobs.security, dict):
        arguments["security"] = given["security"]
    try:
        script: str = kind.job_cls(
            f"{given.get('protocol', 'tcp://')}scheduler:8786", "lodewell", **arguments
        ).job_script()
    except (TypeError, ValueError) as error:
        raise BadOption(f"{kind.__name__} of dask_jobqueue does not take this: {one_line(error)}") from error
    return script


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
