"""Data sets: a bundled one, files in the formats in which people download them, and synthetic samples."""

from copi_ref.data.dataset import Dataset

__all__ = ["Dataset"]
