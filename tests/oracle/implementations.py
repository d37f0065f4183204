"""Implementations made of pieces: the right ones, and each catalogued mistake."""

import numpy as np

from copi_ref.oracle.contract.implementation import OfPieces
from copi_ref.oracle.contract.pieces import right_pieces


def right(conventions):
    return OfPieces(right_pieces(conventions))


def wrong(variant, conventions):
    """Return the implementation that makes this mistake, or None where the conventions leave it no meaning."""
    pieces = variant.change(right_pieces(conventions))
    return None if pieces is None else OfPieces(pieces)


def quietly(function, *arguments, **settings):
    """Call with NumPy's warnings off: wrong formulas divide by 0."""
    with np.errstate(all="ignore"):
        return function(*arguments, **settings)
