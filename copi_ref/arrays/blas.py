"""The BLAS behind NumPy: its threads, and the kernel that it took for this processor."""

import os
import subprocess
import sys

KERNEL_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""What overrides OpenBLAS's choice of kernel and block sizes; some systems set them for older libraries' sake."""


def blas_threads() -> str:
    """Return the number of threads and the kernel: "2 (openblas SkylakeX)".

    Results are the same bit for bit only for one number of BLAS threads and one kind of CPU: both are recorded.
    """
    try:
        from threadpoolctl import threadpool_info  # comes with scikit-learn; not a dependency
    except ImportError:
        return "unknown (install threadpoolctl to see them)"
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    kinds = (" ".join(pool[key] for key in ("internal_api", "architecture") if key in pool) for pool in pools)
    return ", ".join(f"{pool['num_threads']} ({kind})" for pool, kind in zip(pools, kinds, strict=True)) or "none"


def without_kernel_variables() -> dict[str, str]:
    """Return this process's environment without what overrides OpenBLAS's choice, for a process to be started."""
    return {name: value for name, value in os.environ.items() if name not in KERNEL_VARIABLES}


def kernel_warning() -> str | None:
    """Return what is to be said where the environment chose for OpenBLAS, which is asked in a process of its own."""
    chosen = [f"{name}={os.environ[name]}" for name in KERNEL_VARIABLES if os.environ.get(name)]
    if not chosen:
        return None
    command = [sys.executable, "-c", f"import numpy; from {__name__} import blas_threads; print(blas_threads())"]
    own = subprocess.run(command, env=without_kernel_variables(), stdout=subprocess.PIPE, text=True, check=True)
    return (
        f"OpenBLAS's kernel or block sizes are set by {' and '.join(chosen)}, which on some processors halves the "
        f"speed of products: without, BLAS has {own.stdout.strip()}"
    )
