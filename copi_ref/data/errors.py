"""The error of everything that reads data, and what it says of files that a download left in their place."""

from pathlib import Path


class DataError(ValueError):
    """Data are missing, too few, damaged or not what they say; the message names the file and the fault."""


GZIP = b"\x1f\x8b"
"""How every gzip file starts."""


def refuse_mistaken(path: Path, start: bytes, packed: str = "gzipped twice") -> None:
    """Refuse what is no data at all, or still packed.

    Args:
        path: of the file.
        start: the first bytes of what is in it, unpacked as far as it should be.
        packed: what the file is if that is gzip.

    Raises:
        DataError: it is; the message calls it that.
    """
    if start.startswith(GZIP):
        raise DataError(f"{path}: is {packed}: unpack it once")
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()  # a byte order mark, and blanks
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        kind = "XML" if start.startswith(b"<?xml") else "HTML"
        raise DataError(f"{path}: is an {kind} page, as servers send for what they don't have: fetch the file again")
