"""Dask workers mean the same as local ones; a queue's YAML file becomes the job script it describes."""

import itertools
import os
import shutil
import signal
import subprocess
from functools import partial

import pytest

pytest.importorskip("distributed", reason="needs the extra [cluster]")

import dask
from distributed import LocalCluster

from lodewell.errors import BadFile, BadOption, LodewellError
from lodewell.workers.base import WORKER_DIED, Workers, given_up
from lodewell.workers.cluster import QueueJobs, job_script, make_queue, read_queue_file
from lodewell.workers.open import open_workers


def square(x):
    return x * x


def fail_on_three(x):
    if x == 3:
        raise ValueError("three is\nnot allowed")
    return x


def die_on_three(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def die_once(x, marker):
    if x == 3 and not os.path.exists(marker):
        with open(marker, "w") as file:
            file.write("died")
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def shape_of(task):
    return type(task).__name__, len(task)


def give_a_lambda(x):
    return lambda: x


@pytest.fixture(scope="module")
def threads():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        open_workers(cluster=cluster.scheduler_address) as workers,
    ):
        yield workers


@pytest.fixture(scope="module")
def local():
    with open_workers(2, cluster="local") as workers:
        yield workers


def test_dask_gives_what_one_process_gives(threads: Workers):
    with open_workers(1) as one:
        expected = list(one.map(fail_on_three, range(30)))
    assert list(threads.map(fail_on_three, range(30))) == expected
    assert expected[3].error == "ValueError: three is not allowed"


def test_number_of_dask_workers_is_that_of_the_cluster(threads: Workers):
    assert threads.n == 2


def test_an_endless_stream_flows_with_few_tasks_in_flight(threads: Workers):
    taken = 0

    def stream():
        nonlocal taken
        for i in itertools.count():
            taken = i + 1
            yield i

    most_ahead = 0
    for outcome in threads.map(square, stream()):
        assert outcome.value == outcome.index**2
        most_ahead = max(most_ahead, taken - outcome.index)
        if outcome.index == 30:
            break
    assert most_ahead <= 2 * threads.n + 2
    assert [o.value for o in threads.map(square, range(4))] == [0, 1, 4, 9]


def test_containers_arrive_as_they_were_sent(threads: Workers):
    tasks = [(square, 2), [1, 2, 3], {"a": (len, "b")}]  # a tuple with a callable first is a task to Dask
    assert [o.value for o in threads.map(shape_of, tasks)] == [("tuple", 2), ("list", 3), ("dict", 1)]


def test_large_functions_travel_without_a_warning(threads: Workers):
    tables = bytes(12_000_000)
    assert [o.value for o in threads.map(partial(max, len(tables), key=None), [1, 2])] == [12_000_000] * 2
    outcomes = threads.map(partial(_length_with, tables), [b"x"])
    assert [o.value for o in outcomes] == [12_000_001]


def _length_with(tables, task):
    return len(tables) + len(task)


def test_results_that_cannot_travel_are_error_outcomes(threads: Workers):
    (outcome,) = threads.map(give_a_lambda, [1])
    assert outcome.error is not None
    assert outcome.error.startswith("the result cannot be pickled")


def test_a_killed_dask_worker_costs_its_own_chunk(local: Workers):
    outcomes = list(local.map(die_on_three, range(10)))
    assert [o.value for o in outcomes] == [0, 1, 2, None, *range(4, 10)]
    assert [o.error for o in outcomes if o.error is not None] == [given_up(WORKER_DIED)[1]]


def test_a_dask_worker_killed_by_accident_costs_nothing(local: Workers, tmp_path):
    outcomes = list(local.map(partial(die_once, marker=str(tmp_path / "died")), range(8)))
    assert [o.value for o in outcomes] == list(range(8))


def test_a_scheduler_out_of_reach_is_named():
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}),
        pytest.raises(LodewellError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
    ):
        open_workers(cluster="tcp://127.0.0.1:9")


def test_neither_word_nor_address_nor_file():
    with pytest.raises(BadOption, match=r"--cluster slurm.yaml: no such file. Give 'local'"):
        open_workers(cluster="slurm.yaml")


def script_of(tmp_path, text):
    path = tmp_path / "queue.yaml"
    path.write_text(text)
    return job_script(read_queue_file(path))


def test_the_script_is_that_of_the_cluster_object():
    jobs = QueueJobs("slurm", cores=4, memory="8 GB", queue="long")
    queue = make_queue(jobs)
    try:
        ours, theirs = job_script(jobs).splitlines(), queue.job_script().splitlines()
    finally:
        queue.close()
    assert [line for line in theirs if "tcp://" not in line] == [line for line in ours if "tcp://" not in line]


def test_slurm_job_script(tmp_path):
    script = script_of(
        tmp_path,
        """
        kind: slurm
        jobs: 4
        cores: 8
        memory: 16 GB
        queue: long
        walltime: "02:00:00"
        account: crystals
        prologue: [module load python]
        directives: ["--constraint=haswell"]
        extra: {job_name: wells}
        """,
    )
    for line in (
        "#SBATCH -J wells",
        "#SBATCH -p long",
        "#SBATCH -A crystals",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=15G",
        "#SBATCH -t 02:00:00",
        "#SBATCH --constraint=haswell",
        "module load python",
    ):
        assert line in script.splitlines()
    assert "--nworkers 8 " in script
    assert "--nthreads 1 " in script


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("pbs", "#PBS -A crystals"),
        ("lsf", '#BSUB -P "crystals"'),
        ("sge", "#$ -P crystals"),
        ("oar", "#OAR --project crystals"),
        ("moab", "#PBS -A crystals"),
    ],
)
def test_account_in_other_queues(tmp_path, kind, line):
    text = f"kind: {kind}\ncores: 2\nmemory: 4 GB\naccount: crystals\n"
    # Without these LSF asks the queue's own configuration, and OAR warns that memory is not reserved.
    text += {"lsf": "extra: {lsf_units: mb}", "oar": "extra: {memory_per_core_property_name: mem_core}"}.get(kind, "")
    assert line in script_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("kind: slurm\nwaltime: 1", BadOption, "unknown key 'waltime' (did you mean 'walltime'?)"),
        ("kind: slrm", BadOption, "unknown kind 'slrm' (did you mean 'slurm'?)"),
        ("kind: slurm\njobs: many", BadOption, "jobs is 'many', it must be a whole number"),
        ("kind: slurm\nprologue: module load python", BadOption, "prologue must be a list"),
        ("kind: [slurm", BadFile, "not YAML"),
        ("slurm", BadFile, "must hold keys and values"),
    ],
)
def test_mistakes_in_a_queue_file_are_named(tmp_path, text, error, message):
    path = tmp_path / "queue.yaml"
    path.write_text(text)
    with pytest.raises(error) as caught:
        read_queue_file(path)
    assert message in str(caught.value)


def test_an_argument_the_queue_does_not_know(tmp_path):
    with pytest.raises(BadOption, match="SLURMCluster of dask_jobqueue does not take this"):
        script_of(tmp_path, "kind: slurm\nextra: {colour: blue}\n")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that vouches for itself, made by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lodewell",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True,
    )  # fmt: skip
    return {"ca": str(folder / "cert.pem"), "cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


def test_a_scheduler_with_security_answers_to_its_certificate_alone(certificate):
    import distributed

    jobs = QueueJobs("slurm", security=certificate)
    queue = make_queue(jobs)
    try:
        address = queue.scheduler_address
        assert address.startswith("tls://")
        assert f"--tls-ca-file {certificate['ca']}" in queue.job_script()
        assert f"--tls-key {certificate['key']}" in job_script(jobs)
        with distributed.Client(queue) as client:
            assert client.scheduler_info()["address"] == address
        with pytest.raises(OSError, match=r"closed|Timed out|connecting"):
            distributed.Client(address.replace("tls://", "tcp://"), timeout=1)
    finally:
        queue.close()


@pytest.mark.parametrize("given", ["tls", "{ca: a.pem}", "{ca: no.pem, cert: no.pem, key: no.pem}"])
def test_half_a_security_is_refused(tmp_path, given):
    (tmp_path / "queue.yaml").write_text(f"kind: slurm\nsecurity: {given}\n")
    with pytest.raises(BadOption, match="security"):
        read_queue_file(tmp_path / "queue.yaml")
