"""Signs of an array's entries, in its own kind of numbers."""

from copi_ref.arrays.backend import Array, namespace


def signs(a: Array) -> Array:
    """Return −1, 0 or 1 where an entry is below 0, 0 or above; of its shape and dtype."""
    return a**0 * namespace(a).sign(a)  # times 1: NumPy's signs of Fractions are ints
