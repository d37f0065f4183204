"""`copi-ref check` of a module, as a process: its exit status whatever the module does, and who is left behind.

0: it is COPI; 1: it is not; 2: it could not be checked. Without a report it is 2.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial

import pytest

from copi_ref.cli.main import main

RIGHT = "def copi_update(x, z, W): return z.T @ x / len(x) - W * (x * x).mean(axis=0)\n"
CHECK = [sys.executable, "-c", "import copi_ref_command, sys; sys.exit(copi_ref_command.main())", "check"]
"""As the script `copi-ref` is installed, whatever the folder that it lies in."""

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture
def check(tmp_path):
    """Check a module of these lines, as a user would; `status, out, err`."""

    def checked(text, *flags):
        (tmp_path / "mine.py").write_text(text)
        command = [*CHECK, "mine", "--only", "copi_update", *flags]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return checked


def test_what_is_printed_is_no_part_of_the_report(check):
    """Not what a module prints, and not what C code does, which knows no sys.stdout."""
    says = "import os\nprint('copi_ref: OK, says it')\nos.write(1, b'copi_ref: OK, says C\\n')\n"
    status, out, err = check(says + RIGHT)
    assert status == 0
    assert out.startswith("copi_ref: OK\nnumpy float64")
    assert "says it\n" in err
    assert "says C\n" in err


@posix
@pytest.mark.parametrize(
    ("ends", "says"),
    [
        ("os._exit(0)", "copi-ref: copi_update ended with exit code 0 before there was a report"),
        ("os.kill(os.getpid(), 11)", "copi-ref: copi_update was ended by SIGSEGV before there was a report"),
    ],
)
def test_code_that_ends_the_process_was_not_checked(check, ends, says):
    status, out, err = check(f"import os\nos.write(1, b'copi_ref: OK')\ndef copi_update(x, z, W): {ends}\n")
    assert (status, out) == (2, "")
    assert says in err


def test_so_it_is_where_the_end_comes_with_the_import_or_with_a_property(check):
    assert check("import os\nos._exit(0)\n")[::2] == (
        2, "copi-ref: the import of mine ended with exit code 0 before there was a report\n",
    )  # fmt: skip
    mine = "import os\ndef __getattr__(name): os._exit(0)\n"
    assert check(mine)[0] == 2


def test_code_that_never_returns_is_waited_for_as_long_as_was_asked(check):
    status, out, err = check("def copi_update(x, z, W):\n    while True: pass\n", "--timeout", "0.3")
    assert (status, out) == (2, "")
    assert err == "copi-ref: copi_update: no end within 0.3 s (--timeout SECONDS waits longer)\n"


def test_a_thread_that_never_ends_keeps_nobody(check):
    """And a process that it has started, which holds the other end of the pipe, does not either."""
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\n"
    assert check(thread + RIGHT)[0] == 0


@posix
def test_the_exit_status_does_not_depend_on_who_reads(tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT)
    for flags, status in (([], 0), (["--slope", "0.1", "--only", "step"], 1)):
        with subprocess.Popen([*CHECK, "mine", *flags], cwd=tmp_path, stdout=subprocess.PIPE, stderr=-1) as done:
            done.stdout.close()
            assert done.wait(timeout=60) == status
            assert not done.stderr.read()


@posix
def test_a_closed_stderr_and_a_full_disk(tmp_path):
    """What would be printed on the one is no part of the report; on the other there is none."""
    (tmp_path / "mine.py").write_text("import os\nos.write(2, b'no JSON')\n" + RIGHT)
    command = shlex.join([*CHECK, "mine", "--only", "copi_update"])
    done = subprocess.run(f"{command} 2>&-", shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("copi_ref: OK\n")
    if os.path.exists("/dev/full"):
        done = subprocess.run(f"{command} >/dev/full", shell=True, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 2
        assert done.stderr.endswith(b"copi-ref: the report can't be written: [Errno 28] No space left on device\n")


@contextmanager
def started_as_by_hand(command, **options):
    """Start a program that Ctrl-C reaches, also where these tests run in the background of a script; none stays."""
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, preexec_fn=heed, **options) as started:
        try:
            yield started
        finally:
            started.kill()


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_check_that_is_ended_leaves_nothing_behind(tmp_path, number):
    """The module's process notices when the one that the user knows of has gone; nobody prints a traceback."""
    there = "import os, pathlib, time\npathlib.Path('there').write_text(str(os.getpid()))\ntime.sleep(1000)\n"
    (tmp_path / "mine.py").write_text(there)
    with started_as_by_hand([*CHECK, "mine"], cwd=tmp_path, stderr=subprocess.PIPE) as started:
        wait_until(lambda: (tmp_path / "there").exists() and (tmp_path / "there").read_text())
        started.send_signal(number)
        assert started.wait(timeout=10) == -number
        wait_until(lambda: not is_running(int((tmp_path / "there").read_text())))
        assert not started.stderr.read()


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@posix
def test_an_interrupt_while_the_package_is_imported_is_silent(tmp_path):
    """NumPy is what takes long to import: here it says that it begins, and waits."""
    (tmp_path / "numpy.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(1000)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [*CHECK[:-1], "info"]
    with started_as_by_hand(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"importing\n"
        started.send_signal(signal.SIGINT)
        assert started.wait(timeout=10) == -signal.SIGINT
        assert not started.stderr.read()


def test_a_terminal_without_some_signs_gets_the_report(check, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    status, out, _ = check("def copi_update(x, z, W): return 2 * W\n")
    assert status == 1
    assert "?W[0, 0] is" in out


def test_wrong_options_and_help_are_told_as_ever(check):
    status, out, err = check(RIGHT, "--timeout", "soon")
    assert (status, out) == (2, "")
    assert "argument --timeout: 'soon': needs a number of seconds above 0, and at most 1e6" in err
    status, out, _ = check(RIGHT, "--help")
    assert status == 0
    assert "--lateral-rule NAME" in out


# --- in the process of whoever calls `main` ---------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("rude", "raises", "instance"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_an_exception_that_will_not_say_what_it_is(folder, capsys):
    """Its text ends the program: so does no report, and so does no import."""
    ends = "class Rude(BaseException):\n    def __str__(self): raise SystemExit(0)\n"
    (folder / "rude.py").write_text(f"{ends}def copi_update(x, z, W): raise Rude\n")
    assert main(["check", "rude"]) == 1
    assert "copi_update: raised Rude: (no text) (rude.py, line 3)" in capsys.readouterr().out
    (folder / "raises.py").write_text(f"{ends}raise Rude\n")
    assert main(["check", "raises"]) == 2
    assert capsys.readouterr().err == "copi-ref: raises: Rude: (no text)\n"


def test_a_class_is_not_made_an_object_of(folder, capsys):
    """Unless its functions are static, it has to be: that is what is said, and then it is right."""
    (folder / "instance.py").write_text(
        "class Mine:\n    def copi_update(self, x, z, W): return z.T @ x / len(x) - W * (x * x).mean(axis=0)\n"
        "mine = Mine()\n"
    )
    assert main(["check", "instance:Mine", "--only", "copi_update"]) == 1
    said = capsys.readouterr().out.splitlines()[0]
    needs = "Mine is a class and copi_update takes self: pass an instance, as in mine = Mine(…), or make it static"
    assert said.endswith(f"; {needs}")
    assert main(["check", "instance:mine", "--only", "copi_update"]) == 0
