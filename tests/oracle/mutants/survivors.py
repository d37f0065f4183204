"""Why mutations that the oracle does not reject are no bugs: each reason is held against a machine check."""

from mutants.exactly import BUT_FOR_ENSEMBLES, BUT_FOR_EXACT_MODE, EVERYWHERE

OUTSIDE = {
    BUT_FOR_ENSEMBLES: "the same for one network, to the last digit; what changes is ensembles (leading axes), which "
    "are no part of the oracle's contract",
    BUT_FOR_EXACT_MODE: "the same bits in float64 and float32; what changes is that exact mode makes floats of "
    "Fractions, which is no part of the oracle's contract",
}
"""By what the machine check found: differences that lie outside the contract."""

EQUIVALENT = (
    ("mean_outer", "u.shape[-2]", "u and v have the same samples"),
    ("_left", "[..., None]", "another way to write the same index"),
    ("_left", "[:, ..., None]", "another way to write the same index"),
    ("forward", "x=xs,", "a list for a tuple: both are one array per layer"),
    ("forward", "a=as_,", "a list for a tuple: both are one array per layer"),
    ("forward", "y=ys)", "a list for a tuple: both are one array per layer"),
    ("decorrelated", "centred(params, params, y)", "the index of a mean is not looked at where there are no means"),
    ("decorrelated", "centred(params, y, y)", "the index of a mean is not looked at where there are no means"),
    ("_exact_leaky_relu", "_bent(a, a * p / q, ", "a maximum and a choice give the same for slopes from 0 to 1"),
    ("_exact_leaky_relu", "slope, a.mT)", "the array only lends its dtype"),
    ("relu", "a <= 0, 0 * _one(a), a", "both branches of f are 0 at 0"),
    ("relu", "0 / _one(a)", "0/1 = 0 · 1"),
    ("relu", "0 * a,", "0 · a = 0"),
    ("step", "reversed(range(len(R)))", "one entry a layer, as in W"),
    ("step", "reversed(range(len(memory)))", "one entry a layer, as in W"),
)
"""Function, what it has after the mutation, and why results are the same; that they are, exact arithmetic says."""


def reason_of(function: str, after: str, same: str) -> str:
    """Return why a survivor is no bug that the oracle should see; "" if that is not shown."""
    if same != EVERYWHERE:
        return OUTSIDE.get(same, "")
    return next((why for name, text, why in EQUIVALENT if name == function and text in after), "")
