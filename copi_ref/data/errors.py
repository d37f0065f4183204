"""The error of every loader."""


class DataError(ValueError):
    """A data file is missing, damaged or not what it says; the message names the file and the fault."""
