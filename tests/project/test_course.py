"""The course, docs/learn: every lesson is built alike, and its figures show what the lessons say."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

LEARN = Path(__file__).parents[2] / "docs" / "learn"
LESSONS = [f"{file}.md" for file in re.findall(r"^\d\. .* <(\w+)>$", (LEARN / "index.md").read_text(), re.MULTILINE)]


@pytest.fixture(scope="module")
def figures():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("figures", LEARN / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_eight_lessons():
    assert len(LESSONS) == 8


@pytest.mark.parametrize(("lesson", "following"), list(zip(LESSONS, [*LESSONS[1:], "equations.md"], strict=True)))
def test_a_lesson_says_what_it_needs_asks_and_leads_on(lesson, following):
    page = (LEARN / lesson).read_text()
    assert re.match(r"# .*\n\nYou need: .*?\n\nYou will know: ", page, re.DOTALL)
    exercises = page.split("\n## Exercises\n")[1]
    assert (
        exercises.count("<summary>Solution</summary>")
        == len(re.findall(r"^\*\*\d\.\*\* ", exercises, re.MULTILINE))
        >= 2
    )
    assert f"]({following})" in exercises.strip().splitlines()[-1]


def test_solutions_stay_folded_in_notebooks():
    """Between these marks jupytext makes one cell; without them code would cut a solution in two."""
    for lesson in LESSONS:
        page = (LEARN / lesson).read_text()
        folded = re.findall(r"<!-- #region -->\n<details>.*?</details>\n<!-- #endregion -->", page, re.DOTALL)
        assert len(folded) == page.count("<details>") == page.count("<!-- #region -->")


def test_every_figure_is_drawn_and_shown(figures):
    drawn = {f"{name}.svg" for name in figures.FIGURES}
    assert drawn == {path.name for path in LEARN.glob("*.svg")}
    assert drawn == {
        name for lesson in LESSONS for name in re.findall(r"\]\((\S+\.svg)\)", (LEARN / lesson).read_text())
    }


def test_the_camera_is_as_the_lessons_describe_it(figures):
    C = figures.IMAGES.T @ figures.IMAGES / 4
    assert (C == [[1.25, 1, 0, 0], [1, 1.25, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]).all()
    assert np.allclose(np.linalg.eigvalsh(C), [1 / 4, 1, 1, 9 / 4])
    assert (figures.IMAGES @ figures.DESIRED.T == figures.TARGETS).all()
    assert np.allclose(figures.APART.T @ figures.APART / 4, np.diag(np.diag(C)))


def test_gradient_descent_leaves_8_9ths_of_the_difference_in_a_step(figures):
    error = figures.DESIRED - figures.descend(figures.IMAGES, 4 / 9, 40)[:, 0]
    assert np.allclose(error[1:, 0] + error[1:, 1], 0)
    assert np.allclose(error[:, 0] - error[:, 1], 3 * (8 / 9) ** np.arange(41))


def test_R_learns_twice_one_pixel_less_the_other(figures):
    R = figures.decorrelate(figures.IMAGES, 100)[-1]
    assert np.allclose(R[:2, :2] / R[0, 0], [[1, -1 / 2], [-1 / 2, 1]])
    assert figures.relative_off_diagonal(figures.IMAGES @ R.T) < 1e-9


def test_the_state_of_lesson_8_settles_half_way(figures):
    states, energies = figures.settle(100).T
    assert np.allclose([states[0], energies[0], states[-1], energies[-1]], [1, 2, 2, 1])
    assert (np.diff(energies) <= 0).all()
