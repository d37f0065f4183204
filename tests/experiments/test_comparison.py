"""Methods side by side: figures of runs, and paired differences."""

import math

import pytest

from copi_ref.cli.main import main
from copi_ref.experiments.comparison import comparison, paired_difference
from copi_ref.experiments.folder import FinishedRun, RunError, find_runs, write_config, write_outcome
from copi_ref.experiments.metrics import write_metrics

CONFIG = {
    "format": "copi_ref run", "dataset": "digits", "held_out": None, "preset": "demo", "hidden": [9, 9], "epochs": 3,
    "overrides": {}, "data": "sha256:1", "recipe": {"eta_w": 0.1}, "environment": {},
}  # fmt: skip


def a_run(method, seed, train, test, **changes):
    rows = [
        {"epoch": epoch, "train_accuracy": one, "train_loss": 0.1, "test_accuracy": other, "test_loss": 0.1,
         "seconds": 1.5}
        for epoch, (one, other) in enumerate(zip(train, test, strict=True))
    ]  # fmt: skip
    return FinishedRun(f"{method}/seed-{seed}", {**CONFIG, "method": method, "seed": seed, **changes}, tuple(rows))


RUNS = [
    a_run("copi-bp", 0, (0.5, 0.9, 0.901), (0.5, 0.8, 0.7)),
    a_run("copi-bp", 1, (0.5, 0.6, 0.9), (0.5, 0.6, 0.9)),
    a_run("bp-adam", 1, (0.5, 0.6, 0.8), (0.5, 0.6, 0.5)),
    a_run("bp-adam", 0, (0.5, 0.6, 0.8), (0.5, 0.6, 0.6)),
]


def test_a_paired_difference_by_hand():
    """0.1, 0.2 and 0.3: mean 0.2, deviation 0.1; t of 2 degrees of freedom is 4.302653 at 97.5 % (any table)."""
    found = paired_difference([1.1, 2.2, 3.3], [1.0, 2.0, 3.0])
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert found.pairs == 3
    for value, expected in ((found.mean, 0.2), (found.low, 0.2 - half), (found.high, 0.2 + half)):
        assert math.isclose(value, expected, rel_tol=1e-6)  # as many digits as the table has


def test_one_pair_has_no_interval():
    found = paired_difference([3.0], [1.0])
    assert (found.mean, found.low, found.high, found.pairs) == (2.0, None, None, 1)


@pytest.mark.parametrize(("one", "other"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_no_pair_is_refused(one, other):
    with pytest.raises(ValueError, match="needs pairs, at least one"):
        paired_difference(one, other)


def test_the_tables_by_hand():
    """Peak .8 and .9, last .7 and .9; within 1 % of the peak train accuracy in epochs 1 and 2.

    The differences of the last epoch are .1 and .4 (seeds 0 and 1, whatever their order): mean .25.
    """
    lines = comparison(RUNS, against="bp-adam").splitlines()
    assert lines[0] == "digits, demo, hidden 9-9, 3 epochs:"
    copi_bp = next(line for line in lines if line.startswith("| copi-bp"))
    assert copi_bp.split(" | ")[1:] == [
        "2", "0.8000 ± 0.1414", "0.8500 ± 0.0707", "0.9005 ± 0.0007", "1.5 ± 0.7 |",
    ]  # fmt: skip
    differences = lines[-1].split(" | ")
    assert differences[:2] == ["| copi-bp", "2"]
    assert differences[2].startswith("+0.2500 [")


def test_other_settings_have_a_table_of_their_own():
    other = a_run("copi-bp", 0, (0.5,), (0.5,), overrides={"eta_w": 0.1}, held_out=7, epochs=1)
    text = comparison([*RUNS, other])
    assert "digits, demo, hidden 9-9, 1 epochs, eta_w 0.1, tested on 7 training samples held out:" in text
    assert text.count("less ") == 1


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (a_run("bp-adam", 0, (0.5,), (0.5,), data="sha256:2"), 'data: "sha256:1" and "sha256:2"'),
        (a_run("copi-bp", 2, (0.5,), (0.5,), recipe={"eta_w": 7}), "eta_w: 0.1 and 7"),
    ],
)
def test_what_was_made_otherwise_is_not_pooled(other, difference):
    with pytest.raises(RunError, match=rf"differ in {difference} \(copi-bp/seed-0, {other.folder}\)"):
        comparison([RUNS[0], other])


def test_a_table_without_the_method_to_subtract_stands_without_differences():
    text = comparison([*RUNS, a_run("copi-bp", 0, (0.5,), (0.5,), epochs=1)], against="bp-adam")
    assert text.count("less bp-adam") == 1
    assert text.count("No run of bp-adam here") == 1


def test_methods_without_a_common_seed_have_no_difference():
    text = comparison([RUNS[0], RUNS[2]], against="copi-bp")
    assert text.splitlines()[-1] == "| bp-adam | 0 |  |  |  |  |"


def test_what_can_not_be_compared_is_named():
    with pytest.raises(RunError, match="no finished runs"):
        comparison([])
    with pytest.raises(RunError, match="no run of il: needs one of copi-bp, bp-adam"):
        comparison(RUNS, against="il")
    with pytest.raises(RunError, match="copi-bp/seed-0 and copi-bp/seed-0 are the same run"):
        comparison([RUNS[0], RUNS[0], a_run("copi-bp", 0, (1.0,), (1.0,))])


def test_the_command_reads_folders(tmp_path, capsys):
    for run in RUNS:
        folder = tmp_path / str(run.folder)
        folder.mkdir(parents=True)
        write_config(folder, run.config)
        write_metrics(folder, run.metrics)
        write_outcome(folder)
    assert main(["compare", str(tmp_path), "--against", "copi-bp"]) == 0
    assert "| bp-adam | 2 | -0.2500 [" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert main(["compare", str(tmp_path / "empty")]) == 2
    assert capsys.readouterr().err == f"copi-ref: {tmp_path}/empty: there are no finished runs to compare\n"
    assert main(["compare", str(tmp_path), "--against", "il"]) == 2
    needs = "there is no run of il: needs one of bp-adam, copi-bp"
    assert capsys.readouterr().err == f"copi-ref: {tmp_path}: {needs}\n"
    assert main(["compare", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr().err == f"copi-ref: {tmp_path}/nothing: no such folder: needs one with runs\n"


def test_other_programs_files_are_no_runs_and_damaged_runs_are_named(tmp_path):
    for name, content in (("list", "[1]"), ("number", "7"), ("other", '{"format": "x"}'), ("text", "no JSON")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
    assert find_runs(tmp_path) == []
    (tmp_path / "text" / "metrics.csv").touch()
    with pytest.raises(RunError, match=r"text/config.json: can't be read as JSON"):
        find_runs(tmp_path)
    (tmp_path / "text" / "config.json").write_text('{"format": "copi_ref run", "seed": 1}')
    (tmp_path / "text" / "outcome.json").write_text('{"status": "finished"}')
    with pytest.raises(RunError, match=r"text/config.json: lacks dataset"):
        find_runs(tmp_path)
