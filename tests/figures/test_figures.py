"""The figures of the papers: which runs they take, their numbers, what is drawn, and the command."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import copi_ref as copi
from copi_ref.analysis.whitening import distance_from_zca
from copi_ref.cli import figure as figure_commands
from copi_ref.cli.main import _parser, main
from copi_ref.data import Dataset
from copi_ref.experiments import figure_2, figure_3a, figure_3b, figure_3c, rates
from copi_ref.experiments.chosen_runs import FigureError, runs_by_method, title_of
from copi_ref.experiments.presets import METHODS, PAPER_METHODS, changed, experiment
from copi_ref.experiments.runner import Spread, spread
from copi_ref.experiments.tables import as_csv, as_table

pytest.importorskip("matplotlib")
from copi_ref.figures import paper as paper_plots

SIDE, CLASSES = 4, 3
TMLR_OUTPUT = copi.Recipe(eta_w=0, eta_r=0, loss="half_quadratic", output="pre-activation")


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run as `copi_ref.experiments.folder` reads it."""

    folder: Path
    config: dict[str, Any]
    metrics: tuple[dict[str, float], ...]
    params: Any = None
    recipe: copi.Recipe = TMLR_OUTPUT


def a_run(method="copi-bp", seed=0, accuracies=(0.1, 0.5, 0.75), params=None, dataset="mnist", eta_w=1e-3, **config):
    recipe = {"eta_w": eta_w, "activation": "leaky_relu(1/10)", "loss": "half_quadratic", "output": "pre-activation"}
    settings = {
        "dataset": dataset, "held_out": None, "preset": "tmlr", "method": method, "seed": seed,
        "epochs": len(accuracies), "hidden": [5, 6, 4], "data": "sha256:1",
        "recipe": {**recipe, "lateral_only_epochs": 1}, **config,
    }  # fmt: skip
    metrics = tuple(
        {"epoch": epoch, "train_accuracy": value, "train_loss": 1 - value, "test_accuracy": value / 2,
         "test_loss": 2 - value, "seconds": 1.0}
        for epoch, value in enumerate(accuracies)
    )  # fmt: skip
    return FinishedRun(Path(f"{method}-{eta_w}-{seed}"), settings, metrics, params)


@pytest.fixture
def dataset(rng):
    x, y = rng.uniform(0, 1, (60, SIDE**2)).astype(np.float32), np.arange(60) % CLASSES
    x[:, 3] = 0  # a pixel that is always 0
    return Dataset(x[:40], y[:40], x[40:], y[40:])


def trained(seed):
    """A network whose layers have no two sizes alike, with R that is not symmetric."""
    rng = np.random.default_rng(seed)
    params = copi.init_params((SIDE**2, 5, 6, 4, CLASSES), rng, xp=np)
    return copi.Params(params.W, tuple(R + rng.normal(0, 0.05, R.shape).astype(np.float32) for R in params.R))


def runs_of_copi():
    return [a_run(seed=seed, params=trained(seed)) for seed in (0, 1)]


# --- which runs ------------------------------------------------------------------------------------------------------


def test_runs_are_chosen_by_data_set_and_method_in_the_order_asked_for():
    runs = [a_run("bp-adam"), a_run("copi-bp", 1), a_run("copi-bp", 0), a_run("copi-bp", dataset="digits"), a_run("il")]
    chosen = runs_by_method(runs, "mnist", PAPER_METHODS, "")
    assert list(chosen) == ["copi-bp", "bp-adam"]
    assert [run.config["seed"] for run in chosen["copi-bp"]] == [1, 0]


def test_without_runs_the_message_says_which_are_needed_and_what_makes_them():
    with pytest.raises(FigureError, match=r"no finished runs of mnist by copi-bp or il: make them with\n  do this"):
        runs_by_method([a_run("bp-adam")], "mnist", ["copi-bp", "il"], "do this")


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (a_run(seed=1, preset="paper"), 'preset: "tmlr" and "paper"'),
        (a_run("bp-adam", hidden=[7]), r"hidden: \[5, 6, 4\] and \[7\]"),
        (a_run("bp-adam", held_out=5), "held_out: null and 5"),
        (a_run(seed=1, eta_w=0.1), "eta_w: 0.001 and 0.1"),
        (a_run(seed=1, accuracies=(0.1,)), "epochs: 3 and 1"),
        (a_run("bp-adam", data="sha256:2"), 'data: "sha256:1" and "sha256:2"'),
    ],
)
def test_runs_of_two_settings_are_not_mixed(other, difference):
    with pytest.raises(FigureError, match=rf"differ in {difference} \(copi-bp-0.001-0, .*of one setting"):
        runs_by_method([a_run(), other], "mnist", PAPER_METHODS, "")


def test_methods_may_differ_in_rates_and_epochs():
    runs = [a_run(), a_run("bp-adam", eta_w=1e-4, accuracies=(0.1,))]
    assert list(runs_by_method(runs, "mnist", PAPER_METHODS, "")) == ["copi-bp", "bp-adam"]


def test_a_seed_does_not_count_twice():
    with pytest.raises(FigureError, match="copi-bp-0.001-0 and copi-bp-0.001-0 hold the same run"):
        runs_by_method([a_run(), a_run()], "mnist", PAPER_METHODS, "")


def test_a_title_says_what_a_run_was_of():
    assert (
        title_of(a_run(hidden=[7, 7, 5], held_out=9))
        == "mnist (tested on 9 held out), preset tmlr, hidden layers 7×2-5"
    )


def test_the_deviation_is_that_of_a_sample():
    assert spread([1.0, 3.0]) == Spread(2.0, math.sqrt(2))
    assert spread([5.0]) == Spread(5.0, None)


# --- Fig. 2 ----------------------------------------------------------------------------------------------------------

TWO_SEEDS = {"copi-bp": [a_run(seed=0, accuracies=(0.25, 1.0, 0.5)), a_run(seed=1, accuracies=(0.75, 0.5, 0.5))]}


def test_curves_are_means_over_seeds_by_epoch():
    rows = figure_2.curves(TWO_SEEDS, ["train_accuracy", "test_loss"])
    assert [(row["method"], row["epoch"], row["seeds"]) for row in rows] == [
        ("copi-bp", epoch, 2) for epoch in range(3)
    ]
    assert [row["train_accuracy"].mean for row in rows] == [0.5, 0.75, 0.5]
    assert [row["train_accuracy"].std for row in rows] == [math.sqrt(0.125), math.sqrt(0.125), 0]
    assert [row["test_loss"].mean for row in rows] == [1.5, 1.25, 1.5]


def test_the_summary_has_last_and_peak_beside_each_other_and_epochs_from_0():
    """Peaks are those of each run: .5 in epoch 1 and .375 in epoch 0; test accuracies are half of the train ones."""
    (row,) = figure_2.summary(TWO_SEEDS)
    assert row["last_test_accuracy"].mean == 0.25
    assert row["peak_test_accuracy"].mean == (0.5 + 0.375) / 2
    assert row["epoch_of_99_percent"].mean == 0.5
    assert figure_2.lateral_only_epochs(TWO_SEEDS) == 1
    (row,) = figure_2.summary({"copi-bp": [a_run(accuracies=(0.5, 0.98, 0.995, 1.0))]})
    assert row["epoch_of_99_percent"] == Spread(2.0, None)


# --- Fig. 3 ----------------------------------------------------------------------------------------------------------


def test_samples_are_transformed_by_r_and_by_zca(dataset):
    (run,) = runs_of_copi()[:1]
    places, rows = figure_3a.transformed(run, dataset)
    y = dataset.x_train[places]
    x = dataset.x_train.astype(float)
    values, V = np.linalg.eigh(x.T @ x / 40)
    Z = sum(np.outer(v, v) / np.sqrt(value) for value, v in zip(values, V.T, strict=True) if value > 1e-6)
    assert [images.shape for images in rows.values()] == [(10, SIDE, SIDE)] * 3
    expected = dict(zip(rows, (y, y @ run.params.R[0].T, y @ Z.T), strict=True))
    for name, images in rows.items():
        # float32, sums of 16 products of entries below 2⁵: in error by less than 16 · 2⁵ · 2⁻²⁴ · 2 = 2⁻¹⁴
        np.testing.assert_allclose(images.reshape(10, -1), expected[name], atol=2**-14)


def test_the_same_samples_are_drawn_each_time(dataset):
    one, other = runs_of_copi()
    np.testing.assert_array_equal(figure_3a.transformed(one, dataset)[0], figure_3a.transformed(other, dataset)[0])


def test_distances_are_those_of_each_seeds_r_and_of_none(dataset):
    runs, x = runs_of_copi(), dataset.x_train.astype(float)
    none, ours = figure_3a.distances(runs, dataset)
    C = x.T @ x / 40
    found = [float(distance_from_zca(run.params.R[0].astype(float), C)) for run in runs]
    assert ours["distance_from_zca"].mean == pytest.approx(np.mean(found), rel=1e-9)
    assert ours["distance_from_zca"].std == pytest.approx(abs(found[0] - found[1]) / math.sqrt(2), rel=1e-6)
    assert none["distance_from_zca"].mean == pytest.approx(float(distance_from_zca(np.eye(16), C)), rel=1e-9)
    assert none["distance_from_zca"].std == 0


def test_fields_are_of_units_of_each_layer(dataset, monkeypatch):
    monkeypatch.setattr(figure_3b, "UNITS", 4)
    (run,) = runs_of_copi()[:1]
    found = figure_3b.fields(run, dataset)
    assert [(one.layer, len(one.units)) for one in found] == [(1, 4), (2, 4), (3, 4), (4, 3)]
    trace = copi.forward(run.params, dataset.x_train)
    x, y = trace.x[0].astype(float), trace.y[1].astype(float)[:, found[1].units]
    live = np.sqrt((x**2).mean(axis=0))
    expected = (y.T @ x / 40) / np.sqrt((y**2).mean(axis=0))[:, None] / live
    np.testing.assert_allclose(found[1].images.reshape(4, -1), expected, rtol=1e-9)
    top = figure_3b.strongest(found)[4]
    assert (top["layer"], top["unit"]) == (2, found[1].units[0])
    assert abs(top["correlation"]) == np.abs(found[1].images[0]).max()
    assert found[1].images[0][top["row"], top["column"]] == top["correlation"]
    assert figure_3b.summary(found)[3]["units"] == 3


def test_what_is_no_square_image_is_refused():
    with pytest.raises(FigureError, match="samples have 12 features: needs grey images as high as wide"):
        figure_3a.as_images(np.zeros((2, 12)))


def test_accuracies_are_of_networks_with_hidden_layers_replaced(dataset):
    """By least squares by hand: a_{k+2} ≈ M x_2 over the training samples."""
    runs = runs_of_copi()
    found = {(row["formula"], row["replaced"]): row["test_accuracy"] for row in figure_3c.accuracies(runs, dataset)}
    assert len(found) == 9
    for replaced in range(3):
        expected = []
        for run in runs:
            train, test = (copi.forward(run.params, x) for x in (dataset.x_train, dataset.x_test))
            if replaced:
                x_2, a = train.x[1].astype(float), train.a[replaced + 1].astype(float)
                M = np.linalg.lstsq(x_2, a, rcond=None)[0].T
                out = test.x[1] @ M.T
                if replaced == 1:  # the last layer stays
                    out = copi.leaky_relu(out) @ run.params.R[3].T @ run.params.W[3].T
            else:
                out = test.a[-1]
            expected.append((out.argmax(axis=1) == dataset.y_test).mean())
        assert found["inverse", replaced].mean == pytest.approx(np.mean(expected))
        assert found["pseudo-inverse", replaced].mean == pytest.approx(np.mean(expected))
    assert found["diagonal", 0] == found["inverse", 0]


# --- learning rates --------------------------------------------------------------------------------------------------


def rows_by_rate(finished, failed=(), methods=("copi-bp",)):
    return rates.by_rate(finished, failed, "mnist", methods, "do this")


def test_accuracy_is_grouped_by_rate_and_what_diverged_is_counted_apart():
    finished = [a_run(seed=0, eta_w=0.1), a_run(seed=1, eta_w=0.1), a_run(seed=0, eta_w=0.01, accuracies=(0.5, 1, 0.5))]
    failed = [a_run(seed=1, eta_w=0.01), a_run(seed=0, eta_w=1.0), a_run(seed=1, eta_w=1.0)]
    low, middle, high = rows_by_rate(finished, failed)
    assert [(row["rate"], row["seeds"], row["diverged"]) for row in (low, middle, high)] == [
        (0.01, 2, 1), (0.1, 2, 0), (1.0, 2, 2),
    ]  # fmt: skip
    assert low["last_test_accuracy"] == Spread(0.25, None)
    assert low["peak_test_accuracy"] == Spread(0.5, None)
    assert middle["last_test_accuracy"] == Spread(0.375, 0)
    assert math.isnan(high["last_test_accuracy"].mean)


def test_the_rate_is_what_was_asked_for_or_that_of_the_last_epoch():
    assert rates.rate_of(a_run(eta_w=[0.01, 0.1, 0.1])) == 0.1
    assert rates.rate_of(a_run(eta_w=1, overrides={"eta_w": 2.5, "eta_r": 3})) == 2.5
    assert rates.rate_of(a_run(eta_w=0.3, overrides={"eta_r": 3})) == 0.3


def test_rates_of_two_settings_are_not_mixed():
    with pytest.raises(FigureError, match=r"differ in epochs: 3 and 1"):
        rows_by_rate([a_run(), a_run(eta_w=1, accuracies=(0.5,))])
    odd = a_run(seed=1)
    odd.config["recipe"]["eta_r"] = 7
    with pytest.raises(FigureError, match=r"copi-bp at the rate 0.001 differ in eta_r: null and 7"):
        rows_by_rate([a_run(), odd])
    with pytest.raises(FigureError, match="hold the same run"):
        rows_by_rate([a_run()], [a_run()])
    with pytest.raises(FigureError, match=r"no runs of mnist by il: make them with\n  do this"):
        rows_by_rate([a_run()], methods=["il"])


# --- the presets of IL's stability -----------------------------------------------------------------------------------


def test_the_learning_rate_of_il_prox_is_alpha():
    recipe = experiment("il", "il-proximal-plain", "mnist").recipe
    faster = changed(recipe, {"eta_w": 2.5, "eta_r": 0.5})
    assert (faster.eta_w, faster.credit.alpha, faster.eta_r) == (1, 2.5, 0.5)
    other = changed(experiment("il", "il-plain", "mnist").recipe, {"eta_w": 2.5})
    assert (other.eta_w, other.credit) == (2.5, "il")


@pytest.mark.parametrize("method", figure_commands.IL_METHODS)
def test_the_stability_experiment_is_one_sample_at_a_time_without_r_or_adam(method):
    settings = experiment("il", method, "mnist")
    assert settings.hidden == (256, 256)
    recipe = settings.recipe
    assert (recipe.batch_size, recipe.lateral_rule, recipe.optimizer) == (1, "none", copi.plain)
    output = "linear" if method == "il-proximal-plain" else "pre-activation"  # what goes by a loss needs its gradient
    assert (recipe.loss, recipe.output) == (copi.half_quadratic, output)


def test_il_prox_takes_the_step_of_its_alpha(rng):
    """One linear layer: inference comes close to the implicit step, ΔW = α/(1 + α‖x‖²) (y* − W x) xᵀ.

    In each of 25 steps what is left of the way shrinks by 1 − γ (c + 1)/(c + 2) ≤ 3/4, c = 1/(α‖x‖²), γ = 1/2: to less
    than (3/4)^25 < 2⁻¹⁰ of it.
    """
    recipe = changed(experiment("il", "il-proximal-plain", "mnist").recipe, {"eta_w": 100.0})
    recipe = copi.Recipe(**{**vars(recipe), "dtype": "float64"})
    state = copi.init_state(recipe, (5, 3), rng, xp=np)
    x, target = rng.normal(size=(1, 5)), rng.normal(size=(1, 3))
    W = state.params.W[0]
    implicit = 100 / (1 + 100 * np.sum(x**2)) * (target - x @ W.T).T @ x
    moved = copi.step(recipe, state, x, target).params.W[0] - W
    assert np.abs(moved - implicit).max() <= 2**-10 * np.abs(implicit).max()


def test_new_methods_have_names_of_their_own():
    assert set(figure_commands.IL_METHODS) <= set(METHODS)


# --- files and tables ------------------------------------------------------------------------------------------------


def test_a_csv_has_mean_and_deviation_side_by_side_and_nothing_for_no_number():
    rows = [
        {"method": "a", "acc": Spread(0.5, 0.25), "n": 2},
        {"method": "b", "acc": Spread(0.75, None), "n": 1},
        {"method": "c", "acc": Spread(math.nan, None), "n": 0},
    ]
    assert list(csv.reader(io.StringIO(as_csv(rows).decode()))) == [
        ["method", "acc_mean", "acc_sd", "n"], ["a", "0.5", "0.25", "2"], ["b", "0.75", "", "1"], ["c", "", "", "0"],
    ]  # fmt: skip
    assert as_table(rows).splitlines() == [
        "method  acc             n",
        "a       0.5000 ±0.2500  2",
        "b       0.7500          1",
        "c       -               0",
    ]


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_curves_are_drawn_with_markers_envelopes_and_axis_labels():
    rows = figure_2.curves(TWO_SEEDS, figure_2.PANELS["2a"])
    figure = paper_plots.curves_figure(rows, figure_2.PANELS["2a"], PAPER_METHODS, "title", idle=1)
    panels = figure.axes
    assert [axes.get_ylabel().split(" (")[0] for axes in panels] == [
        "train accuracy", "test accuracy", "train loss", "test loss",
    ]  # fmt: skip
    (line,) = panels[0].lines
    assert line.get_ydata().tolist() == [0.5, 0.75, 0.5]
    assert line.get_xdata().tolist() == [0, 1, 2]
    assert line.get_label() == "copi-bp, 2 seeds"
    (envelope,) = panels[0].collections
    at_0 = envelope.get_paths()[0].vertices
    assert sorted(set(at_0[at_0[:, 0] == 0, 1])) == [0.5 - math.sqrt(0.125), 0.5 + math.sqrt(0.125)]
    assert "from 0" in panels[2].get_xlabel()
    assert "leaves out epoch 0, when only R learns" in panels[2].get_xlabel()
    low, high = panels[0].get_ylim()
    sd = math.sqrt(0.125)  # epoch 1 has 1 and 0.5, epoch 2 twice 0.5: from 0.75 − sd to 0.75 + sd, and 5 % of it around
    assert math.isclose(low, 0.75 - sd - 0.1 * sd)
    assert math.isclose(high, 0.75 + sd + 0.1 * sd)
    assert panels[2].get_yscale() == "log"


def test_one_epoch_in_which_w_learned_sets_no_scale():
    """Two equal ends are no scale, and matplotlib warns of them."""
    rows = figure_2.curves({"copi-bp": [a_run(accuracies=(0.1, 0.5))]}, figure_2.PANELS["2a"])
    figure = paper_plots.curves_figure(rows, figure_2.PANELS["2a"], PAPER_METHODS, "title", idle=1)
    low, high = figure.axes[0].get_ylim()
    assert low < 0.1 < 0.5 < high


def test_a_methods_style_does_not_depend_on_which_others_are_there():
    alone = figure_2.curves({"bp-adam": [a_run("bp-adam")]}, figure_2.PANELS["2b"])
    both = figure_2.curves({"copi-bp": [a_run()], "bp-adam": [a_run("bp-adam")]}, figure_2.PANELS["2b"])
    styles = []
    for rows in (alone, both):
        line = paper_plots.curves_figure(rows, figure_2.PANELS["2b"], PAPER_METHODS, "", 0).axes[0].lines[-1]
        styles.append((line.get_color(), line.get_linestyle(), line.get_marker()))
    assert styles[0] == styles[1]


def test_no_two_methods_share_a_marker_a_dash_or_a_colour():
    rows = figure_2.curves({method: [a_run(method)] for method in PAPER_METHODS}, figure_2.PANELS["2b"])
    lines = paper_plots.curves_figure(rows, figure_2.PANELS["2b"], PAPER_METHODS, "", 0).axes[0].lines
    for look in ("get_marker", "get_linestyle", "get_color"):
        assert len({getattr(line, look)() for line in lines}) == 4


def test_a_mosaic_has_each_image_on_its_own_scale():
    sheet = paper_plots.mosaic(np.array([[[2.0, -4], [0, 1]], [[0, 0], [0, 0]], [[0.5, 0], [0, 0]]]))
    assert sheet.tolist() == [
        [0.5, -1, 0, 0, 0], [0, 0.25, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0],
    ]  # fmt: skip


def test_what_diverged_is_marked_with_how_many_seeds():
    rows = rows_by_rate([a_run(eta_w=0.1), a_run(eta_w=1.0, seed=2)], [a_run(eta_w=1.0), a_run(eta_w=1.0, seed=1)])
    (axes,) = paper_plots.rates_figure(rows, ["copi-bp"], "", "rate").axes
    assert [text.get_text() for text in axes.texts] == ["2/3"]
    assert axes.lines[-1].get_xdata()[0] == 1.0
    assert axes.get_xscale() == "log"


def test_the_peak_has_a_panel_where_it_differs_from_the_last_epoch():
    rows = rows_by_rate([a_run(accuracies=(0.5, 1, 0.5))])
    assert len(paper_plots.rates_figure(rows, ["copi-bp"], "", "rate").axes) == 2


def test_the_same_figure_gives_the_same_files(tmp_path):
    for folder in ("one", "other"):
        rows = figure_2.curves(TWO_SEEDS, figure_2.PANELS["2b"])
        figure = paper_plots.curves_figure(rows, figure_2.PANELS["2b"], PAPER_METHODS, "title", 1)
        paths = paper_plots.save_both(figure, tmp_path / folder, "figure")
    assert [path.name for path in paths] == ["figure.svg", "figure.png"]
    for path in paths:
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path, monkeypatch, dataset):
    """Run `copi-ref figure NAME` on runs that are there; the files are in `tmp_path`."""
    runs = {"finished": [], "failed": []}
    monkeypatch.setattr(figure_commands, "find_runs", lambda root: runs["finished"])
    monkeypatch.setattr(figure_commands, "find_failed", lambda root: runs["failed"])
    monkeypatch.setattr(figure_commands, "_dataset", lambda options, held_out: dataset)
    monkeypatch.setattr(figure_commands, "fingerprint", lambda dataset: "sha256:1")  # that of `a_run`

    def call(name, finished=(), failed=(), *more):
        runs.update(finished=list(finished), failed=list(failed))
        return main(["figure", name, "--runs", "RUNS", "--out", str(tmp_path), *more])

    return call


FINISHED = {
    "2a": [a_run(method, seed) for method in PAPER_METHODS for seed in (0, 1)],
    "2b": [a_run("copi-bp", dataset="cifar10"), a_run("bp-adam", dataset="cifar10")],
    "3a": runs_of_copi(),
    "3b": runs_of_copi(),
    "3c": runs_of_copi(),
    "learning-rates": [a_run(method, eta_w=eta) for method in PAPER_METHODS for eta in (0.1, 0.2)],
    "il-stability": [a_run("il-proximal-plain", eta_w=1, overrides={"eta_w": eta}) for eta in (0.1, 100)],
}


@pytest.mark.parametrize("name", figure_commands.FIGURES)
def test_each_figure_leaves_an_svg_a_png_and_its_numbers(name, command, tmp_path, capsys):
    assert command(name, FINISHED[name], [a_run("bp-plain", eta_w=100)]) == 0
    assert (tmp_path / f"figure-{name}.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / f"figure-{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / f"figure-{name}.csv").read_text().splitlines()) > 1
    assert (tmp_path / f"figure-{name}.npz").exists() == (name in ("3a", "3b"))
    assert f"figure-{name}.csv" in capsys.readouterr().out


def test_numbers_on_disk_are_those_drawn(command, tmp_path):
    command("2a", TWO_SEEDS["copi-bp"])
    rows = list(csv.DictReader((tmp_path / "figure-2a.csv").read_text().splitlines()))
    assert [float(row["train_accuracy_mean"]) for row in rows] == [0.5, 0.75, 0.5]


def test_methods_without_runs_are_named_with_the_command_that_makes_them(command, capsys):
    assert command("2a", [a_run("copi-bp"), a_run("bp-adam")]) == 0
    printed = capsys.readouterr().err
    assert "Not drawn, for want of runs: copi-fa, bp-decorrelated" in printed
    assert "--method copi-fa bp-decorrelated --seeds 5" in printed


@pytest.mark.parametrize("name", figure_commands.FIGURES)
def test_without_runs_each_figure_says_what_makes_them(name, command, capsys):
    assert command(name) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("copi-ref: RUNS: there are no")
    assert f"copi-ref train {'cifar10' if name == '2b' else 'mnist'} --preset " in printed


def test_the_commands_that_make_runs_are_ones_that_the_parser_knows(command, capsys):
    for name in figure_commands.FIGURES:
        command(name)
        line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("  copi-ref train"))
        words = line.replace("RATE", "0.1").split()[1:]
        assert _parser().parse_args(words).seeds == 5


@pytest.mark.parametrize("name", ["3a", "3b", "3c"])
def test_what_is_analysed_is_what_was_trained_on(name, command, capsys, monkeypatch):
    monkeypatch.setattr(figure_commands, "fingerprint", lambda dataset: "sha256:2")
    assert command(name, FINISHED[name]) == 2
    assert "was trained on other data" in capsys.readouterr().err


def test_a_network_that_can_not_be_compressed_is_an_error_message(command, capsys):
    shallow = a_run(params=copi.init_params((SIDE**2, 5, CLASSES), np.random.default_rng(0), xp=np))
    assert command("3c", [shallow]) == 2
    assert "params has 2 layers: needs at least 3" in capsys.readouterr().err


def test_figures_of_runs_that_the_command_trained(tmp_path, capsys, monkeypatch):
    """From the folders that `copi-ref train` leaves, without a stand-in; one rate diverges."""
    pytest.importorskip("copi_ref.experiments.folder")
    pytest.importorskip("copi_ref.data.named")
    pytest.importorskip("sklearn")
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    train = ["train", "digits", "--hidden", "9,8,7", "--epochs", "2", "--method", "copi-bp"]
    assert main([*train, "--out", str(tmp_path / "runs" / "low")]) == 0
    assert main([*train, "--eta-w", "1e9", "--eta-r", "1e9", "--out", str(tmp_path / "runs" / "high")]) == 1
    figure = ["--dataset", "digits", "--out", str(tmp_path), "--runs"]
    for name in ("2a", "2b", "3a", "3b", "3c"):
        assert main(["figure", name, *figure, str(tmp_path / "runs" / "low")]) == 0
    assert main(["figure", "learning-rates", *figure, str(tmp_path / "runs")]) == 0
    rows = list(csv.DictReader((tmp_path / "figure-learning-rates.csv").read_text().splitlines()))
    assert [(float(row["rate"]), row["diverged"]) for row in rows] == [(0.02, "0"), (1e9, "1")]
