"""
The test vectors, from PyTorch
==============================

The shipped test vectors, run against a few lines of PyTorch in float64: a pattern for a test in any language.

Run: python examples/vectors_with_torch.py
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnails/vectors_with_torch.png"

import sys

try:
    import torch
except ImportError as error:
    print(f"skipped: PyTorch is not installed ({error})")
    sys.exit(0)

from copi_ref.oracle.vectors import load

UNIT = 2.0**-53  # unit roundoff of float64
SLOPE = 0.1  # of leaky ReLU below 0; the vectors take 1/10 exactly, and count that 0.1 is rounded

# --- the implementation under test: rule `right`; it takes no derivative, so that f′(0) does not matter ---------------


def copi_update(x, z, W):
    """ΔW = E[z xᵀ] − W diag(E[x²])."""
    return {"dW": z.mT @ x / len(x) - W * (x**2).mean(dim=0)}


def sgd_update(x, delta):
    """ΔW = E[δ xᵀ]."""
    return {"dW": delta.mT @ x / len(x)}


def decorrelation_update(x, R):
    """ΔR = −R (E[x xᵀ] − diag(E[x²]))."""
    C = x.mT @ x / len(x)
    return {"dR": -R @ (C - C.diag().diag())}


def forward(W, R, y0):
    """Return x = R y, a = W x and y = f(a) of all layers."""
    found, y = {"x": [], "a": [], "y": []}, y0
    for W_l, R_l in zip(W, R, strict=True):
        x = y @ R_l.mT
        a = x @ W_l.mT
        y = torch.nn.functional.leaky_relu(a, SLOPE)
        for name, state in zip("xay", (x, a, y), strict=True):
            found[name].append(state)
    return found


# --- reading and comparing --------------------------------------------------------------------------------------------


def read(value):
    """Return a matrix of hex floats as a tensor, and a list of matrices as a list of tensors."""
    if isinstance(value[0][0], list):
        return [read(one) for one in value]
    return torch.tensor([[float.fromhex(number) for number in row] for row in value], dtype=torch.float64)


def is_right(found, expected, bound):
    """Whether the error is rounding, element by element: up to e/(1 − e) M, and the result's own rounding."""
    if isinstance(found, list):
        return all(is_right(*three) for three in zip(found, expected, bound, strict=True))
    e = 2 * bound["roundings"] * UNIT
    allowed = e / (1 - e) * read(bound["magnitude"]) + UNIT * expected.abs()
    return found.shape == expected.shape and bool(((found - expected).abs() <= allowed).all())


def wrong_quantities(function, case):
    """Return the names of the results of a case that are not right."""
    found = function(**{name: read(value) for name, value in case["arguments"].items()})
    return [
        name
        for name, result in case["results"].items()
        if not is_right(found[name], read(result), case["tolerance"][name])
    ]


if __name__ == "__main__":
    vectors = load()  # raises if a file has fewer cases than the manifest says
    failures = 0
    for function in (copi_update, sgd_update, decorrelation_update, forward):
        name, right, skipped = function.__name__, 0, 0
        for case in vectors[name]:
            if case["conventions"]:  # it lists what differs from Algorithm 1 as printed: here, other lateral rules
                skipped += 1
            elif wrong := wrong_quantities(function, case):
                failures += 1
                print(f"{name}, {case['name']}: {', '.join(wrong)} wrong")
            else:
                right += 1
        print(f"{name:21} {right:3} of {len(vectors[name]):3} cases right, {skipped:3} skipped (other conventions)")
    if failures:
        sys.exit(1)
