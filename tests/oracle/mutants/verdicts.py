"""Implementations that can't be compared: they lack a function, raise, or return something else than arrays."""

from functools import partial

import numpy as np

from copi_ref.oracle import Conventions
from mutants.mutant import Mutant, edited, plain, replaced

_copi = partial(edited, "copi_update")
_RETURN = "return hebb - decay"


def _lacking() -> object:
    module = plain()
    del module.step
    return module


class _Nothing:
    """Lacks every function."""


VERDICTS = (
    _copi("raises", _RETURN, "raise NotImplementedError", "not implemented"),
    _copi("exits", _RETURN, "raise SystemExit(1)", "verdict"),
    _copi("recurses", _RETURN, "return copi_update(x, z, W)", "verdict"),
    _copi("asserts", _RETURN, "assert len(x) > 50, 'needs a whole batch'", "verdict"),
    _copi("takes other arguments", "hebb = z.T", "hebb = z.t", "verdict"),
    replaced("copi_update", "wants another argument", "\ndef copi_update(x, z, W, eta):\n    return W\n", "verdict"),
    _copi("returns nothing", _RETURN, "hebb - decay", "verdict"),
    _copi("returns a list", _RETURN, "return (hebb - decay).tolist()", "verdict"),
    _copi("returns a number", _RETURN, "return float((hebb - decay).sum())", "verdict"),
    _copi("returns a tuple", _RETURN, "return hebb, decay", "verdict"),
    _copi("returns text", _RETURN, "return str(hebb - decay)", "verdict"),
    _copi("returns a transpose", _RETURN, "return (hebb - decay).T", "verdict"),
    _copi("returns a flat array", _RETURN, "return (hebb - decay).ravel()", "verdict"),
    _copi("returns another axis", _RETURN, "return (hebb - decay)[None]", "verdict"),
    _copi("returns float32", _RETURN, "return (hebb - decay).astype(np.float32)", "verdict"),
    _copi("returns integers", _RETURN, "return (hebb - decay).astype(int)", "verdict"),
    _copi("returns objects", _RETURN, "return (hebb - decay).astype(object)", "verdict"),
    _copi("returns complex numbers", _RETURN, "return (hebb - decay).astype(complex)", "verdict"),
    _copi("returns NaN", _RETURN, "return (hebb - decay) * np.nan", "verdict"),
    _copi("divides by a power that is 0", _RETURN, "return (hebb - decay) / np.mean(x**2, axis=0)",
          "verdict", "weight-fixed-point"),
    _copi("returns another library's array", _RETURN,
          "import array_api_strict\n    return array_api_strict.asarray(hebb - decay)", "verdict"),
    _copi("deletes what it was given", _RETURN, "x.resize((1, 1), refcheck=False)\n    return hebb - decay", "verdict"),
    edited("forward", "returns a dict", "return xs, as_, ys", "return {'x': xs, 'a': as_, 'y': ys}", "verdict"),
    edited("forward", "returns generators", "return xs, as_, ys",
           "return (x for x in xs), (a for a in as_), (y for y in ys)", "verdict"),
    edited("forward", "returns the output only", "return xs, as_, ys", "return y", "verdict"),
    edited("perturbations", "returns the output's only", "return deltas", "return deltas[-1]", "verdict"),
    edited("step", "samples in columns", "n_layers = len(W)", "n_layers = len(W)\n    y0, target = y0.T, target.T",
           "verdict"),
    Mutant("lacks step", "step", _lacking, ("not implemented",), Conventions()),
    Mutant("lacks everything", "step", _Nothing, ("not implemented",), Conventions()),
    Mutant("samples are rows", "copi_update", plain, ("verdict",), Conventions(samples="columns")),
    Mutant("is random", "sgd_update", lambda: _Random(), ("not-deterministic", "state-leak"), Conventions()),
)  # fmt: skip


class _Random:
    """Returns other numbers at each call."""

    def sgd_update(self, x, delta):
        noise = np.random.default_rng().normal(size=(delta.shape[1], x.shape[1]))
        return delta.T @ x / len(x) + noise
