"""One process at a time in a run folder, by a lock that dies with its process."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the file ``lock`` of a folder, which is made if needed; the file stays, and its lock goes with the process.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the folder can't be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _lock(handle)
        except OSError as error:
            raise BlockingIOError(f"{folder} is being written by another process: wait for it, or stop it") from error
        yield
    finally:
        os.close(handle)
