"""A worker process that ends with the process that started it, however that ends."""

import os
import threading
import time
from functools import cache

SECONDS = 1
"""Time between two looks."""


@cache
def end_with(parent: int) -> None:
    """End this process at once, a few seconds at most after the process `parent`, which started it; asked once.

    SIGTERM and SIGKILL leave a main process no time to tell its workers. So each looks for itself whether it has
    another parent by now, as orphans get (on Windows they don't, and stay). It ends in the middle of what it does:
    files are written whole, and locks go with it.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS)
    os._exit(1)
