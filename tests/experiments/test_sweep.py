"""Sweeps: the same results however many processes there are, and each run done once."""

import csv
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from npz_files import three_clusters

from copi_ref.cli.main import main
from copi_ref.data import load_named, load_npz
from copi_ref.experiments import sweep as sweeps
from copi_ref.experiments.folder import find_runs
from copi_ref.experiments.presets import PAPER_METHODS
from copi_ref.experiments.sweep import SweepError, jobs_of, read_sweep, run_jobs, run_jobs_on_cluster

needs_sigkill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")

pytest.importorskip("joblib")
pytest.importorskip("threadpoolctl")


@pytest.fixture
def own_npz(tmp_path):
    return three_clusters(tmp_path / "own.npz", train=75)


def written(path, **changes):
    """A sweep's file: 2 methods × 2 rates × 2 seeds."""
    values = {
        "preset": "demo", "methods": ["copi-bp", "bp-adam"], "seeds": 2, "epochs": 5, "hidden": [5],
        "eta_w": [0.01, 0.02], **changes,
    }  # fmt: skip
    lines = (
        f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for name, value in values.items()
    )
    path.write_text("\n".join(lines).replace("'", '"') + "\n")
    return path


@pytest.fixture
def config(own_npz, tmp_path):
    return written(tmp_path / "sweep.toml", dataset=str(own_npz))


def run(*arguments):
    return main(["sweep", *map(str, arguments)])


def results(out):
    """What came out of each run, but for the time it took."""
    return {
        run.folder.relative_to(out): (
            [{**row, "seconds": 0} for row in run.metrics],
            [array.tobytes() for array in (*run.params.W, *run.params.R)],
            run.config["environment"]["blas threads"].split()[0],
        )
        for run in find_runs(out)
    }


FOLDERS = {
    Path(method, f"eta_w-{rate}", f"seed-{seed}")
    for method in ("copi-bp", "bp-adam") for rate in (0.01, 0.02) for seed in (0, 1)
}  # fmt: skip


def test_one_process_and_two_give_the_same(config, tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(config, "--out", one, "--threads", 1) == 0
    printed = capsys.readouterr().out
    assert f"8 runs into {one}/, with 1 thread(s) of BLAS each" in printed
    assert "8 of 8 runs finished" in printed
    assert run(config, "--out", two, "--threads", 1, "--jobs", 2) == 0
    assert results(one) == results(two)
    assert set(results(one)) == FOLDERS
    assert len({str(arrays) for _, arrays, _ in results(one).values()}) == 8, "each differs by its method, rate or seed"
    assert {threads for _, _, threads in results(two).values()} == {"1"}


def local_cluster(folder):
    """Two workers, without a dashboard, and what remains of its server on a free port: others may run beside it."""
    return pytest.importorskip("distributed").LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, local_directory=str(folder),
        dashboard_address=None, scheduler_kwargs={"dashboard_address": ":0"},
    )  # fmt: skip


def test_a_dask_cluster_gives_the_same(config, tmp_path, monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # as a cluster in this process sets them, for good: here, until the test ends
    one, cluster_out = tmp_path / "one", tmp_path / "cluster"
    assert run(config, "--out", one, "--threads", 1) == 0
    with local_cluster(tmp_path) as cluster:
        assert run(config, "--out", cluster_out, "--scheduler", cluster.scheduler_address) == 0
    assert results(cluster_out) == results(one)
    assert set(results(one)) == FOLDERS


def test_a_sweep_that_was_interrupted_goes_on(config, own_npz, tmp_path):
    """What has ended is not run again, what was not begun is, and what was interrupted goes on where it was."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(config, "--out", whole, "--threads", 1) == 0
    assert run(config, "--out", out, "--threads", 1) == 0
    kept, broken, gone = (out / "copi-bp" / "eta_w-0.01" / f"seed-{seed}" for seed in (0, 1, 2))
    gone = out / "bp-adam" / "eta_w-0.02" / "seed-0"
    before = (kept / "metrics.csv").read_bytes()
    (broken / "outcome.json").unlink()
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    assert run(config, "--out", out, "--threads", 1) == 0
    assert (kept / "metrics.csv").read_bytes() == before, "its seconds would be others"
    assert results(out) == results(whole)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_fails_is_reported_and_stops_no_other(processes, own_npz, tmp_path, capsys):
    config = written(tmp_path / "sweep.toml", dataset=str(own_npz), eta_w=0.01, eta_r=[0.01, 1e20], methods=["copi-bp"])
    out = tmp_path / "out"
    for _ in range(2):  # and again when it is run again
        assert run(config, "--out", out, "--jobs", processes) == 1
        printed = capsys.readouterr()
        assert "2 of 4 runs finished" in printed.out
        for seed in (0, 1):
            folder = f"copi-bp/eta_r-1e+20/seed-{seed}"
            assert f"{folder}: failed" in printed.out
            assert f"copi-ref: {out}/{folder}: training became non-finite in epoch 0" in printed.err
        assert {path.parent.name for path in results(out)} == {"eta_r-0.01"}


def test_a_folder_that_holds_another_run_fails_alone(config, own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(config, "--out", out) == 0
    other = written(tmp_path / "other.toml", dataset=str(own_npz), epochs=3, methods=["copi-bp", "copi-fa"], seeds=1)
    assert run(other, "--out", out) == 1
    printed = capsys.readouterr()
    assert "2 of 4 runs finished" in printed.out
    assert f"{out}/copi-bp/eta_w-0.01/seed-0 holds a run of 5 epochs, and 3 were asked for" in printed.err


def test_a_sweep_goes_on_to_more_epochs(own_npz, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    for epochs in (2, 5):
        assert run(written(tmp_path / "sweep.toml", dataset=str(own_npz), epochs=epochs), "--out", out) == 0
    assert run(tmp_path / "sweep.toml", "--out", whole) == 0
    assert results(out) == results(whole)
    assert {len(rows) for rows, *_ in results(out).values()} == {5}


def test_what_nobody_thought_of_is_reported_too(config, tmp_path, monkeypatch, capsys):
    def wrong(*_, **options):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(sweeps, "run_into", wrong)
    assert run(config, "--out", tmp_path / "out") == 1
    assert f"{tmp_path}/out/copi-bp/eta_w-0.01/seed-0: ZeroDivisionError: division by zero" in capsys.readouterr().err


def deadly(dataset, data_dir, held_out):
    """Load data, but for two names: one of them kills its process each time, the other once."""
    path = Path(dataset)
    if path.name == "deadly" or (path.name == "deadly once" and not path.exists()):
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return load_npz(path.parent / "own.npz")


def with_source(jobs, place, name):
    """The same jobs, of which one gets its data under another name."""
    return [
        replace(job, source=str(Path(job.source).parent / name)) if number == place else job
        for number, job in enumerate(jobs)
    ]


@needs_sigkill
def test_a_run_whose_process_dies_is_named_and_stops_no_other(config, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(config, "--out", whole, "--threads", 1) == 0
    jobs = with_source(jobs_of(read_sweep(config), out), 2, "deadly")
    outcomes = {outcome.folder: outcome for outcome in run_jobs(jobs, deadly, processes=2)}
    assert set(outcomes) == {job.folder for job in jobs}
    dead = jobs[2].folder
    assert {folder for folder, outcome in outcomes.items() if outcome.error} == {dead}
    assert outcomes[dead].error == (
        f"{dead}: its process died, and again when it ran by itself: perhaps for want of memory"
    )
    expected = results(whole)
    del expected[dead.relative_to(out)]
    assert results(out) == expected


@needs_sigkill
def test_a_run_whose_process_dies_once_is_tried_again(config, tmp_path):
    jobs = with_source(jobs_of(read_sweep(config), tmp_path / "out"), 0, "deadly once")
    outcomes = {outcome.folder: outcome for outcome in run_jobs(jobs, deadly, processes=2)}
    assert len(outcomes) == 8
    assert {outcome.error for outcome in outcomes.values()} == {None}
    noted = [folder for folder, outcome in outcomes.items() if outcome.note]
    assert jobs[0].folder in noted
    assert len(noted) <= 2, "only those that were at work"
    assert "a process had died while this run was at work" in outcomes[jobs[0].folder].note
    assert len(results(tmp_path / "out")) == 8


WORKER = """
import sys, time
from copi_ref.experiments.parent import end_with
end_with(int(sys.argv[1]))
print("works", flush=True)
time.sleep(1000)
"""
MAIN = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], str(os.getpid())])"


@needs_sigkill
def test_a_worker_ends_with_its_parent():
    """The pipe that both write to is at its end when neither lives."""
    with subprocess.Popen([sys.executable, "-c", MAIN, WORKER], stdout=subprocess.PIPE) as main_process:
        assert main_process.stdout.readline() == b"works\n"
        main_process.kill()
        assert main_process.communicate(timeout=100) == (b"", None)


def test_the_workers_of_a_sweep_do(config, tmp_path, monkeypatch):
    """In this process: what is sent to a worker is called here, and asks to end with it."""
    ends_with = []
    monkeypatch.setattr(sweeps, "end_with", ends_with.append)
    jobs = jobs_of(read_sweep(config), tmp_path / "out")[:2]
    for function, arguments, _ in sweeps._tasks(jobs, load_npz_of, []):
        assert function(*arguments).error is None
    assert ends_with == [os.getpid()] * 2


def load_npz_of(dataset, data_dir, held_out):
    return load_npz(dataset)


@pytest.mark.parametrize(("jobs", "asked", "started"), [(1, 1000, 1), (1000, 1000, 12), (5, 3, 3), (7, 9, 7)])
def test_no_more_processes_than_there_is_to_do(jobs, asked, started, monkeypatch):
    monkeypatch.setattr(sweeps, "usable_cores", lambda: 3)
    assert sweeps.processes_for(jobs, asked) == started


def test_the_command_says_so(own_npz, tmp_path, capsys):
    path = written(tmp_path / "sweep.toml", dataset=str(own_npz), methods=["copi-bp"], seeds=1, eta_w=0.01)
    assert run(path, "--out", tmp_path / "out", "--jobs", 1000) == 0
    assert "note: --jobs 1000 starts 1 process(es): there are 1 run(s), and at most 4" in capsys.readouterr().err


def always_deadly(dataset, data_dir, held_out):
    os.kill(os.getpid(), signal.SIGKILL)


@needs_sigkill
def test_the_command_names_each_run_whose_process_died(own_npz, tmp_path, monkeypatch, capsys):
    from copi_ref.cli import sweep as sweep_commands

    config, out = written(tmp_path / "sweep.toml", dataset=str(own_npz), methods=["copi-bp"], seeds=1), tmp_path / "out"
    outcomes = partial(run_jobs, load=always_deadly)
    monkeypatch.setattr(sweep_commands, "run_jobs", lambda jobs, load, processes: outcomes(jobs, processes=processes))
    assert run(config, "--out", out, "--jobs", 2) == 1
    printed = capsys.readouterr()
    assert "0 of 2 runs finished" in printed.out
    for rate in (0.01, 0.02):
        assert f"copi-ref: {out}/copi-bp/eta_w-{rate}/seed-0: its process died" in printed.err


def test_an_address_of_no_scheduler(config, tmp_path, capsys):
    pytest.importorskip("distributed")
    assert run(config, "--out", tmp_path / "out", "--scheduler", "garbage") == 2
    assert "copi-ref: garbage: is no address of a scheduler (missing port" in capsys.readouterr().err


def test_many_classes_without_a_sample_can_be_meant(tmp_path, capsys):
    path = tmp_path / "own.npz"
    x, y = np.ones((60, 2), np.float32), np.arange(60) % 2 * 20
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    settings = {"dataset": str(path), "methods": ["copi-bp"], "seeds": 1, "eta_w": 0.01}
    assert run(written(tmp_path / "a.toml", **settings), "--out", tmp_path / "out") == 2
    assert "say classes=21 (--classes 21) if that is meant" in capsys.readouterr().err
    assert run(written(tmp_path / "a.toml", **settings, classes=21), "--out", tmp_path / "out") == 0


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Two workers, on the first death of which what they were at is given up."""
    dask = pytest.importorskip("dask")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # as a cluster in this process sets them, for good: here, until the test ends
    logger = logging.getLogger("distributed.client")
    level = logger.level
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        local_cluster(tmp_path) as made,
    ):
        yield made
    logger.setLevel(level)


@needs_sigkill
def test_a_run_whose_worker_dies_is_named(cluster, config, tmp_path):
    jobs = with_source(jobs_of(read_sweep(config), tmp_path / "out"), 2, "deadly")
    outcomes = {outcome.folder: outcome for outcome in run_jobs_on_cluster(jobs, deadly, cluster.scheduler_address)}
    assert set(outcomes) == {job.folder for job in jobs}
    assert f"{jobs[2].folder}: KilledWorker: " in outcomes[jobs[2].folder].error
    assert any(outcome.error is None for outcome in outcomes.values())


def lasting(dataset, data_dir, held_out):
    """Load data, but of one name for ever."""
    path = Path(dataset)
    while path.name == "lasting":
        time.sleep(0.1)
    return load_npz(path)


def test_runs_whose_scheduler_goes_away_are_named(cluster, config, tmp_path):
    jobs = jobs_of(read_sweep(config), tmp_path / "out")[:3]
    jobs = with_source(with_source(jobs, 1, "lasting"), 2, "lasting")
    outcomes = run_jobs_on_cluster(jobs, lasting, cluster.scheduler_address)
    assert next(outcomes).error is None
    cluster.close()
    rest = {outcome.folder: outcome.error for outcome in outcomes}
    assert set(rest) == {jobs[1].folder, jobs[2].folder}
    for folder, error in rest.items():
        assert error.startswith(f"{folder}: FutureCancelledError: ")


@pytest.mark.parametrize("threads", [1, 2])
def test_each_process_takes_as_many_threads_as_it_was_told(threads, own_npz, tmp_path):
    """Not as many as joblib would give it."""
    config, out = written(tmp_path / "sweep.toml", dataset=str(own_npz), epochs=1, eta_w=0.01), tmp_path / "out"
    assert run(config, "--out", out, "--jobs", 2, "--threads", threads) == 0
    assert {found for _, _, found in results(out).values()} == {str(threads)}


def test_threads_are_as_before_afterwards(config, tmp_path):
    import threadpoolctl

    def threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    jobs = jobs_of(read_sweep(config), tmp_path / "out", threads=1)
    assert {outcome.error for outcome in run_jobs(jobs, load_named)} == {None}
    assert threads() == before


def test_a_run_of_a_sweep_is_the_run_that_train_makes(own_npz, tmp_path):
    """In the same place, too, if there is one rate: `train` takes a sweep's runs up, and the other way round."""
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    config = written(tmp_path / "sweep.toml", dataset=str(own_npz), methods=["copi-bp"], eta_w=0.01, seeds=1)
    assert run(config, "--out", out) == 0
    before = (out / "copi-bp" / "seed-0" / "metrics.csv").read_bytes()
    train = ["train", own_npz, "--epochs", 5, "--hidden", 5, "--eta-w", 0.01, "--resume", "--out", out]
    assert main(list(map(str, train))) == 0
    assert (out / "copi-bp" / "seed-0" / "metrics.csv").read_bytes() == before


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_sweep_is_methods_times_rates_times_seeds(tmp_path):
    path = written(
        tmp_path / "sweep.toml", dataset="mnist", preset="tmlr", methods=["copi-bp"], seeds=[3, 11],
        eta_w=[1e-3], eta_r=[1e-3, 0.5], error_scale=100, held_out=1000, diagnostics=True,
    )  # fmt: skip
    sweep = read_sweep(path)
    plans = sweep.plans()
    assert [(plan.seed, plan.overrides["eta_w"], plan.overrides["eta_r"]) for plan in plans] == [
        (3, 1e-3, 1e-3), (11, 1e-3, 1e-3), (3, 1e-3, 0.5), (11, 1e-3, 0.5),
    ]  # fmt: skip
    assert all((plan.held_out, plan.diagnostics, plan.hidden) == (1000, True, (5,)) for plan in plans)
    assert all(plan.experiment().recipe.error_scale == 100 for plan in plans)
    assert sweep.folder(Path("out"), plans[2]) == Path("out/copi-bp/eta_w-0.001/eta_r-0.5/seed-3")
    assert [plan.seed for plan in replace(sweep, seeds=2, eta_r=None).plans()] == [0, 1]
    assert replace(sweep, eta_r=None).plans()[0].overrides == {"eta_w": 1e-3, "error_scale": 100}


def rates_of(plans):
    return [(plan.method, plan.changes.get("eta_w"), plan.changes.get("eta_r")) for plan in plans]


def test_rates_can_go_together(tmp_path):
    """As in the published experiments, where both are the same at all times; a method without R takes its own alone."""
    path = tmp_path / "sweep.toml"
    path.write_text(
        'dataset = "mnist"\npreset = "tmlr"\nmethods = ["copi-bp", "bp-adam"]\nseeds = 1\nepochs = 1\n'
        "eta = [0.001, 0.01]\n"
    )
    sweep = read_sweep(path)
    plans = sweep.plans()
    assert rates_of(plans) == [
        ("copi-bp", 0.001, 0.001), ("copi-bp", 0.01, 0.01), ("bp-adam", 0.001, None), ("bp-adam", 0.01, None),
    ]  # fmt: skip
    assert [sweep.folder(Path("out"), plan) for plan in plans] == [
        Path("out", method, f"eta-{rate}", "seed-0") for method in ("copi-bp", "bp-adam") for rate in (0.001, 0.01)
    ]
    assert plans[1].experiment().recipe.eta_w == plans[1].experiment().recipe.eta_r == 0.01
    one = replace(sweep, eta=0.1)
    assert rates_of(one.plans()) == [("copi-bp", 0.1, 0.1), ("bp-adam", 0.1, None)]
    assert one.folder(Path("out"), one.plans()[0]) == Path("out/copi-bp/seed-0")


def test_a_method_without_R_is_not_trained_once_for_each_eta_r(own_npz, tmp_path):
    """Its run is one and the same, in the file that says what it is, too."""
    config = written(tmp_path / "sweep.toml", dataset=str(own_npz), eta_w=0.01, eta_r=[0.01, 0.02], seeds=1)
    assert rates_of(read_sweep(config).plans()) == [
        ("copi-bp", 0.01, 0.01), ("copi-bp", 0.01, 0.02), ("bp-adam", 0.01, None),
    ]  # fmt: skip
    out = tmp_path / "out"
    assert run(config, "--out", out) == 0
    (adam,) = find_runs(out / "bp-adam")
    assert adam.folder == out / "bp-adam" / "seed-0"
    assert adam.config["overrides"] == {"eta_w": 0.01}
    assert adam.config["recipe"]["eta_r"] == 0
    with_rate, without = (replace(adam_plan(config), overrides=overrides) for overrides in ({"eta_r": 5}, {}))
    assert with_rate.config({}) == without.config({})


def adam_plan(config):
    return next(plan for plan in read_sweep(config).plans() if plan.method == "bp-adam")


def test_a_sweep_feeds_the_figure_of_learning_rates(own_npz, tmp_path):
    """Rates apart would give it runs at one eta_w that differ in eta_r, which it refuses."""
    pytest.importorskip("matplotlib")
    path = written(tmp_path / "sweep.toml", dataset=str(own_npz), methods=list(PAPER_METHODS), seeds=1, epochs=1)
    path.write_text(path.read_text().replace("eta_w", "eta"))
    out, figures = tmp_path / "out", tmp_path / "figures"
    assert run(path, "--out", out) == 0
    figure = ["figure", "learning-rates", "--dataset", own_npz, "--runs", out, "--out", figures]
    assert main(list(map(str, figure))) == 0
    rows = csv.DictReader((figures / "figure-learning-rates.csv").read_text().splitlines())
    assert [(row["method"], float(row["rate"])) for row in rows] == [
        (method, rate) for method in PAPER_METHODS for rate in (0.01, 0.02)
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"etta": 0.1},
            "has etta, which is no key: required are dataset, preset, methods, seeds, epochs; optional held_out, "
            "hidden, eta, eta_w, eta_r, error_scale, lateral_rule, lateral_every, diagnostics, classes",
        ),
        ({"eta": 0.1}, "has eta, which is both rates, and eta_w: leave out the one or the other"),
        ({"methods": ["bp-adam", "il"], "eta_r": 1}, "eta_r is given, but there is no R in bp-adam, il: leave it out"),
        ({"methods": ["copi-pb"]}, "method is 'copi-pb': choose one of 'copi-bp'"),
        ({"methods": "copi-bp"}, "methods is 'copi-bp': needs a list"),
        ({"methods": []}, "methods is empty: needs one or more"),
        ({"preset": "papre"}, "preset is 'papre': choose one of"),
        ({"seeds": 0}, "seeds is 0: needs at least 1"),
        ({"seeds": [-1]}, r"seeds\[0\] is -1: needs at least 0"),
        ({"eta_w": [[0.1]]}, r"eta_w\[0\] is \[0\.1\]: needs a number"),
        ({"methods": [["copi-bp"]]}, r"methods\[0\] is \['copi-bp'\]: needs a text"),
        ({"epochs": 10**7}, "epochs is 10000000: needs at most 1000000"),
        ({"seeds": 10**12}, "seeds is 1000000000000: needs at most 1000000"),
        (
            {"methods": ["il-proximal-plain"], "eta_w": [0, 1]},
            "eta_w, here α of proximal IL, is 0: needs a number above 0",
        ),
        ({"epochs": 2.5}, "epochs is 2.5: needs a whole number"),
        ({"epochs": [1, 2]}, r"epochs is \[1, 2\]: needs a whole number"),
        ({"hidden": 5}, "hidden is 5: needs a list"),
        ({"hidden": [0]}, r"hidden\[0\] is 0: needs at least 1"),
        ({"eta_w": -1}, "eta_w is -1: needs at least 0"),
        ({"eta_r": ["x"]}, r"eta_r\[0\] is 'x': needs a number"),
        ({"error_scale": [1, 2]}, r"error_scale is \[1, 2\]: needs a number"),
        ({"lateral_every": 0}, "lateral_every is 0: needs at least 1"),
        (
            {"methods": ["bp-adam"], "lateral_every": 2},
            "lateral_every is given, but there is no R in bp-adam: leave it out",
        ),
        ({"held_out": 0}, "held_out is 0: needs at least 1"),
        ({"diagnostics": 1}, "diagnostics is 1: needs true or false"),
    ],
)
def test_a_file_that_says_what_can_not_be_done(changes, message, tmp_path, capsys):
    path = written(tmp_path / "sweep.toml", dataset="digits", **changes)
    with pytest.raises(SweepError, match=rf"sweep\.toml: {message}"):
        read_sweep(path)
    assert run(path, "--out", tmp_path / "out") == 2
    assert "copi-ref: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_sweeps(tmp_path):
    with pytest.raises(SweepError, match=r"nothing\.toml: can't be read as TOML"):
        read_sweep(tmp_path / "nothing.toml")
    (tmp_path / "a.toml").write_text("dataset = ")
    with pytest.raises(SweepError, match=r"a\.toml: can't be read as TOML"):
        read_sweep(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text('dataset = "digits"\nseeds = 2\n')
    with pytest.raises(
        SweepError,
        match=r"b\.toml: lacks preset, methods, epochs: required are dataset, preset, .*; optional held_out,",
    ):
        read_sweep(tmp_path / "b.toml")


def test_the_help_says_which_keys_are_required(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "Required: dataset, preset, methods, seeds, epochs." in told
    optional = "held_out, hidden, eta, eta_w, eta_r, error_scale, lateral_rule, lateral_every, diagnostics, classes"
    assert f"Optional: {optional}." in told


def test_what_is_said_before_training_is_said_once(tmp_path, capsys):
    """Of two runs: the data are the same, and no epoch trains W."""
    path = written(
        tmp_path / "sweep.toml", dataset=str(three_clusters(tmp_path / "own.npz", 45)), epochs=1, preset="demo"
    )
    assert run(path, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().err.splitlines()
    assert [line[:40] for line in said] == [
        "copi-ref: note: the samples are float64,", "copi-ref: warning: W never learns: later",
    ]  # fmt: skip


def test_data_that_are_not_there_are_missed_once(tmp_path, capsys):
    path = written(tmp_path / "sweep.toml", dataset=str(tmp_path / "nothing.npz"))
    assert run(path, "--out", tmp_path / "out") == 2
    assert "nothing.npz: can't be read as .npz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_default_is_to_share_out_the_cores(config, tmp_path, monkeypatch, capsys):
    from copi_ref.cli import sweep as sweep_commands

    seen = []
    for module in (sweeps, sweep_commands):
        monkeypatch.setattr(module, "usable_cores", lambda: 7)
    monkeypatch.setattr(sweep_commands, "run_jobs", lambda jobs, load, processes: seen.append((jobs, processes)) or ())
    for processes in (1, 3, 9):
        run(config, "--out", tmp_path / "out", "--jobs", processes)
    assert [(jobs[0].threads, processes) for jobs, processes in seen] == [(7, 1), (2, 3), (1, 8)]


@pytest.mark.parametrize(
    ("library", "options"),
    [
        ("joblib", ["--jobs", 2]),
        ("threadpoolctl", ["--jobs", 2]),
        ("threadpoolctl", ["--threads", 1]),
        ("threadpoolctl", ["--scheduler", "tcp://nowhere:1"]),
    ],
)
def test_a_missing_extra_says_how_to_install_it(library, options, config, tmp_path, monkeypatch, capsys):
    """Before anything is written."""
    monkeypatch.setitem(sys.modules, library, None)
    assert run(config, "--out", tmp_path / "out", *options) == 2
    assert f'{library} is not installed: pip install "copi_ref[sweep]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_process_needs_no_extra(config, tmp_path, monkeypatch, capsys):
    for library in ("joblib", "threadpoolctl", "distributed"):
        monkeypatch.setitem(sys.modules, library, None)
    assert run(config, "--out", tmp_path / "out") == 0
    assert "with as many threads of BLAS as it takes: threadpoolctl is not installed" in capsys.readouterr().out
    monkeypatch.undo()
    assert run(config, "--out", tmp_path / "with", "--threads", 1) == 0
    assert [rows for rows, *_ in results(tmp_path / "out").values()] == [
        rows for rows, *_ in results(tmp_path / "with").values()
    ]


def test_paths_are_absolute_for_processes_that_stand_elsewhere(own_npz, tmp_path, monkeypatch):
    config = written(tmp_path / "sweep.toml", dataset="own.npz", seeds=1, methods=["copi-bp"], eta_w=0.01)
    monkeypatch.chdir(tmp_path)
    (job,) = jobs_of(read_sweep(config), Path("out"), Path("data"))
    monkeypatch.chdir("/")
    outcomes = run_jobs([job], lambda name, data_dir, held_out: load_npz(name))
    assert [outcome.error for outcome in outcomes] == [None]
    (done,) = find_runs(tmp_path / "out")
    assert done.config["dataset"] == "own.npz"
    assert job.data_dir == tmp_path / "data"


def test_the_data_are_read_once_in_a_process(own_npz, config, tmp_path):
    read = []

    def load(name, data_dir, held_out):
        read.append(name)
        return load_npz(own_npz)

    assert len(list(run_jobs(jobs_of(read_sweep(config), tmp_path / "out"), load))) == 8
    assert len(read) == 1


def test_the_command_reads_the_data_once_too(config, tmp_path, monkeypatch):
    from copi_ref.cli import sweep as sweep_commands

    read = []

    def load(name, data_dir, held_out):
        read.append(name)
        return load_npz(name)

    monkeypatch.setattr(sweep_commands, "load_named", load)
    assert run(config, "--out", tmp_path / "out") == 0
    assert len(read) == 1


def test_an_interrupted_sweep_says_what_a_sweep_can(config, tmp_path, monkeypatch, capsys):
    from copi_ref.cli import sweep as sweep_commands

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_commands, "run_jobs", interrupted)
    assert run(config, "--out", tmp_path / "out") == 130
    printed = capsys.readouterr().err
    assert "the same command again goes on" in printed
    assert "--resume" not in printed
