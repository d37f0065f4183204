"""Which kernel of BLAS ran, and who chose it."""

import os
import subprocess
import sys

import pytest

from copi_ref.arrays import blas


def test_nothing_is_said_where_openblas_chose_its_kernel(monkeypatch):
    for name in blas.KERNEL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert blas.kernel_warning() is None
    monkeypatch.setenv("OPENBLAS_CORETYPE", "")  # as good as unset
    assert blas.kernel_warning() is None


@pytest.mark.parametrize(
    "chosen",
    [
        {"OPENBLAS_CORETYPE": "Haswell"}, {"OPENBLAS_L2_SIZE": "1024"},
        {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_L2_SIZE": "1024"},
    ],
)  # fmt: skip
def test_info_warns_where_the_environment_chose_the_kernel(chosen):
    """The process that says what BLAS has without the variables must not have inherited them."""
    without = {name: value for name, value in os.environ.items() if name not in blas.KERNEL_VARIABLES}

    def output(environment, *words):
        command = [sys.executable, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    own = output(without, "-c", "import numpy; from copi_ref.arrays.blas import blas_threads; print(blas_threads())")
    done = output({**without, **chosen}, "-m", "copi_ref", "info")
    words = " and ".join(f"{name}={value}" for name, value in chosen.items())
    assert f"warning: OpenBLAS's kernel or block sizes are set by {words}, which" in done.stderr
    assert done.stderr.strip().endswith(f"without, BLAS has {own.stdout.strip()}")


def test_a_process_to_be_started_has_neither_variable(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1024")
    assert blas.without_kernel_variables() == {
        name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    }
