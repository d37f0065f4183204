"""Check one adapter in the environment of its library: `python check_one.py pclib_adapter float64 results.json`."""

import importlib
import json
import os
import sys
from pathlib import Path

MODULES = {"torch": "torch", "jax": "jax.numpy", "numpy": "numpy"}


def checked(adapter, precision):
    """Return, for each check of an adapter, what the oracle says of it in a precision."""
    from copi_ref.oracle import check

    module = importlib.import_module(adapter)
    xp = importlib.import_module(MODULES[module.library])
    known = getattr(module, "known", {}).get(precision, {})
    for name, (implementation, conventions) in module.checks.items() if precision in module.precisions else ():
        report = check(implementation, conventions=conventions, precision=precision, expected_failures=known, xp=xp)
        ran = [result for result in report.results if result.cases]
        right = ", but for ".join(["passed", *(f"{name}: {why}" for name, why in known.items())])
        yield {
            "name": name,
            "conventions": {key: str(value) for key, value in conventions.differing().items()},
            "functions": list(dict.fromkeys(result.check for result in ran)),
            "worst": max((r.worst / r.allowed for r in ran if r.allowed and r.check not in known), default=0.0),
            "verdict": right if report.ok else report.diagnosis,
        }


def deviations(adapter):
    """Return, for each deviation that was found in the library of an adapter, whether it is still so."""
    found = importlib.import_module("deviations")
    for name, shows in vars(found).items():
        if name.startswith(adapter.removesuffix("adapter")):
            try:
                shows()
            except Exception as error:
                yield {"name": name, "holds": False, "error": repr(error)}
            else:
                yield {"name": name, "holds": True}


if __name__ == "__main__":
    adapter, precision, target = sys.argv[1:]
    os.environ["JAX_ENABLE_X64"] = str(int(precision == "float64"))  # before JAX is imported
    result = {"checks": list(checked(adapter, precision)), "deviations": list(deviations(adapter))}
    Path(target).write_text(json.dumps(result, indent=1))
