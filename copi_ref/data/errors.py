"""The error of everything that reads data."""


class DataError(ValueError):
    """Data are missing, too few, damaged or not what they say; the message names the file and the fault."""
