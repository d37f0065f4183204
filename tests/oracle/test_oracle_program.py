"""Implementations in other languages: the protocol over stdin and stdout, and the C++ example."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from copi_ref.cli.main import main
from copi_ref.oracle import Conventions, InferenceConventions, check
from copi_ref.oracle.calling.program import Program, ProgramError
from copi_ref.oracle.vectors import SHIPPED

SPEAKS = f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).parent / 'programs' / 'speaks.py'))}"
SETTLES = SPEAKS.replace("speaks.py", "settles.py")
EXAMPLE = Path(__file__).parents[2] / "examples" / "cpp"


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_program_is_checked_like_any_other_implementation(precision):
    with Program(SPEAKS, Conventions()) as program:
        report = check(program, precision=precision)
    assert report.ok, report.summary()
    statuses = {result.check: result.status for result in report.results}
    assert statuses["sgd_update"] == "not implemented", "the program does not name it"
    assert statuses["step"] == "passed"


def test_its_mistakes_are_named():
    with Program(SPEAKS, Conventions(lateral_rule="left")) as program:
        report = check(program, conventions=Conventions(lateral_rule="left"))
    assert "matches lateral_rule='right'" in report.diagnosis


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("refuses", "not these conventions"),
        ("misspells", "needs a list of some of ['copi_update'"),
        ("miscounts", "needs an object with id 0 and a result or an error"),
        ("garbles", "answered 'ready!\\n', which is no JSON"),
        ("lists objects", "needs a list of some of ['copi_update'"),
    ],
)
def test_a_program_that_does_not_speak_the_protocol_can_not_be_checked(how, says, capsys):
    with pytest.raises(ProgramError) as raised:
        Program(f"{SPEAKS} {how}", Conventions())
    assert says in str(raised.value)
    assert main(["check", "--command", f"{SPEAKS} {how}"]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("dies", "ended with exit code 1: segmentation fault, so to speak"),
        ("hangs", "no answer within 0.5 s (is stdout flushed after each line?)"),
        ("complains", "x is too small for me"),
        ("nan", "returned nan in ΔW[0, 0]"),
        ("ragged", "needs a matrix as a list of rows of numbers"),
        ("unstructured", "needs an object with 'x'"),
        ("nests", "which is no JSON"),
        ("numbers", "answered 5: needs an object with 'W'"),
        ("texts", "']]: needs a matrix as a list of rows of numbers"),
        ("says true", "answered [[True"),
        ("overflows", "needs a matrix as a list of rows of numbers"),
    ],
)
def test_a_program_that_misbehaves_gets_a_verdict(how, says):
    with Program(f"{SPEAKS} {how}", Conventions()) as program:
        program.timeout = 0.5 if how == "hangs" else 60
        shown = {"unstructured": slice(0, 2), "numbers": slice(3, 4)}.get(how, slice(0, 1))
        program.functions = program.functions[shown]
        report = check(program)
    assert not report.ok
    assert says in report.diagnosis


def test_the_last_lines_of_a_crash_are_shown_as_they_are_and_so_is_what_was_printed():
    """Of 13 lines on stderr the last ten, with their spaces, none longer than 200 characters."""
    with pytest.raises(ProgramError) as raised:
        Program(f"{SPEAKS} crashes at length", Conventions())
    _, _, said = str(raised.value).partition("crashes at length': ")
    frames = [f"      frame {number}" for number in range(4, 12)]
    version = f"    Node.js v20.20.2{'!' * 184}…"
    assert said.splitlines() == [
        "ended with exit code 1:", *frames, "    ", version, "it printed:", "    half way", "    there",
    ]  # fmt: skip


def test_a_program_that_only_says_hello_is_quoted():
    with pytest.raises(ProgramError, match="ended with exit code 3; it printed: hello$"):
        Program(f"{SPEAKS} says hello and ends", Conventions())


def test_blank_lines_between_answers_do_no_harm():
    with Program(f"{SPEAKS} pauses", Conventions()) as program:
        assert check(program, only=("copi_update",)).ok


def test_blank_lines_do_not_put_off_the_end_of_the_wait():
    with pytest.raises(ProgramError, match=r"no answer within 0.5 s"):
        Program(f"{SPEAKS} says nothing", Conventions(), timeout=0.5)


def test_a_program_that_dies_later_has_died_and_keeps_no_state():
    with Program(f"{SPEAKS} dies later", Conventions()) as program:
        report = check(program, only=("copi_update",))
    assert report.variant == "verdict"
    assert report.diagnosis == "copi_update: ended with exit code 1 after 3 calls: out of memory, so to speak"


def test_a_wrong_program_that_dies_is_wrong_and_has_died():
    """And what is wrong once is no chance: nobody can ask it again."""
    died = "ended with exit code 1 after 3 calls: out of memory, so to speak"
    with Program(f"{SPEAKS} dies later, doubles", Conventions()) as program:
        report = check(program, only=("copi_update",))
    assert report.variant == "weight-factor(2)"
    assert f"    besides, {died}" in report.summary().splitlines()
    with Program(f"{SPEAKS} dies later, errs once", Conventions()) as program:
        assert check(program, only=("copi_update",)).diagnosis == f"copi_update: {died}"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("answers twice", "needs an object with id 4 and a result or an error, one line a request; "
         "that is one more line for request 3"),
        ("remarks", "answered 'layer 3 done\\n', which is no JSON"),
    ],
)  # fmt: skip
def test_a_second_line_after_a_right_answer_is_no_state(how, says):
    with Program(f"{SPEAKS} {how}", Conventions()) as program:
        report = check(program, only=("copi_update",))
        assert program.has_ended, "whatever comes next may answer anything"
    assert report.variant == "verdict"
    assert says in report.diagnosis


def test_of_inference_learning_too():
    with Program(f"{SETTLES} dies", InferenceConventions()) as program:
        report = check(program, conventions=InferenceConventions(), only=("errors",))
    assert report.variant == "verdict"
    assert report.diagnosis == "errors: ended with exit code 7 after 2 calls: no more layers"
    with Program(f"{SETTLES} dies of repetition", InferenceConventions()) as program:
        report = check(program, conventions=InferenceConventions(), only=("errors",))
    assert report.diagnosis.startswith(
        "errors: right at first; the same arguments, given again: ended with exit code 7"
    )


def test_what_a_terminal_obeys_and_what_is_long_is_left_out():
    with pytest.raises(ProgramError) as raised:
        Program(f"{SPEAKS} paints", Conventions())
    assert str(raised.value).endswith(f"paints': red alert{'!' * 491}…")
    with pytest.raises(ProgramError) as raised:
        Program(f"{SPEAKS} lists a million", Conventions())
    assert len(str(raised.value)) < 800


def test_a_line_without_an_end_is_not_read_to_it():
    with pytest.raises(ProgramError, match="answered a line of more than 5000000 characters, which begins 'xxx"):
        Program(f"{SPEAKS} does not end its line", Conventions())


def test_a_program_that_does_not_read_is_not_waited_for_any_longer():
    """A pipe holds 64 kB, and a request may have more."""
    with Program(f"{SPEAKS} does not read", Conventions(), timeout=5) as program:
        program.timeout = 0.3
        with pytest.raises(ProgramError, match="no answer within 0.3 s"):
            program.copi_update(*(np.ones((100, 100)) for _ in range(3)))


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nobody knows of it")
def test_a_program_that_has_ended_has_ended_whatever_it_started():
    with pytest.raises(ProgramError, match="ended with exit code 7"):
        Program(f"{SPEAKS} leaves its stdout to another", Conventions(), timeout=20)


def test_a_program_that_remembers_is_started_anew():
    with Program(f"{SPEAKS} remembers", Conventions()) as program:
        report = check(program, only=("copi_update",))
    assert report.variant == "state-leak"
    assert "right in a program started anew, wrong after a call with N = " in report.diagnosis


def test_a_program_that_hung_once_is_not_asked_again():
    with Program(f"{SPEAKS} hangs", Conventions()) as program:
        program.timeout = 0.5
        assert not check(program).ok
        with pytest.raises(ProgramError, match="no answer within"):
            program.copi_update(*([[1.0]] for _ in range(3)))
        assert program._id == 2, "the functions, and one call: dozens of others would each wait"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_what_a_wrapper_started_ends_with_it():
    with pytest.raises(ProgramError, match="no answer within"):
        Program("bash -c 'sleep 1000; true'", Conventions(), timeout=0.2)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("no-such-program-anywhere", "No such file"),
        ("'unclosed", "No closing quotation"),
        ("", "needs a program, and its arguments"),
        (" ", "needs a program, and its arguments"),
    ],
)
def test_a_program_that_can_not_be_started(command, says):
    with pytest.raises(ProgramError, match=f"can't be started: .*{says}"):
        Program(command, Conventions())


def test_closing_ends_the_program():
    program = Program(f"{SPEAKS} hangs", Conventions())
    program.timeout = 0.2
    assert program._process.poll() is None
    with pytest.raises(ProgramError, match="no answer"):
        program.copi_update(*([[1.0]] for _ in range(3)))
    program.close()
    assert program._process.poll() is not None


cpp = pytest.mark.needs("C++")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    compiler = shutil.which("g++") or shutil.which("clang++")
    binary = tmp_path_factory.mktemp("cpp") / "copi"
    flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    subprocess.run([compiler, *flags, "-o", binary, EXAMPLE / "main.cpp"], check=True)
    return binary


@cpp
@pytest.mark.parametrize("rule", ["left", "right", "symmetric"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_cpp_example_is_copi(compiled, precision, rule, capsys):
    flags = ["--precision", precision, "--lateral-rule", rule]
    assert main(["check", "--command", str(compiled), *flags]) == 0, capsys.readouterr().out
    assert "not implemented" not in capsys.readouterr().out


@cpp
def test_the_cpp_example_says_which_conventions_it_lacks(compiled, capsys):
    assert main(["check", "--command", str(compiled), "--credit", "fa"]) == 2
    assert 'credit is "fa"' in capsys.readouterr().err


def run_vectors(compiled, folder):
    return subprocess.run([compiled, "--vectors", folder], capture_output=True, text=True, check=False)


@cpp
def test_the_cpp_example_reads_the_vectors(compiled):
    done = run_vectors(compiled, SHIPPED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "copi_update.json: 10 of 10 cases" in done.stdout
    assert "trajectory.json: 3 of 3 cases" in done.stdout


@cpp
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("copi_update.json", '"dW": [\n     ["-0x1.4cp', '"dW": [\n     ["-0x1.5cp'), ("manifest.json", ": 10", ": 11")],
    ids=["a wrong number", "a missing case"],
)  # fmt: skip
def test_the_cpp_example_notices(compiled, tmp_path, name, old, new):
    folder = shutil.copytree(SHIPPED, tmp_path / "vectors")
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    assert run_vectors(compiled, folder).returncode == 1
