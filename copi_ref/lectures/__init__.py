"""Lectures that can be touched: marimo notebooks, in which the library computes every number.

`copi-ref explore` opens them in a browser; ``marimo edit`` on a file here opens it as a notebook that can be changed.
"""

LECTURES = {
    "decorrelation": "why COPI needs decorrelated inputs, and what R's rule does about it",
    "one_step": "every number of one step of Algorithm 1, and what each known mistake does to it",
    "credit": "who gets the blame: the perturbations of six credit methods, and their angle to backpropagation",
    "train": "digits, epoch by epoch: accuracy, R, receptive fields, correlations",
    "inference_learning": "states that settle, and why a proximal step may be large",
    "is_it_copi": "your own code, and what the oracle says of it",
}
"""By name of their file: what each is about."""
