"""The command `copi-ref`, up to where the package is imported, which takes most of a second.

This comes first, and imports next to nothing, so that Ctrl-C leaves no traceback of imports.
"""

import signal
import sys


def main() -> int:
    """Run the command with the arguments of the process, and return its exit status."""
    changed = _end_at_ctrl_c()
    if sys.argv[1:2] == ["check"]:
        from copi_ref_command.judging import judged, time_limit

        if (limit := time_limit(sys.argv[2:])) is not None:
            return judged(sys.argv[1:], limit)
    from copi_ref.cli.main import main as command

    if changed:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return command()


def judge() -> None:
    """Check a module, in the process that was started for it."""
    _end_at_ctrl_c()
    from copi_ref.cli.judged import main as judged

    judged()


def _end_at_ctrl_c() -> bool:
    """Let Ctrl-C end the process at once, as there is nothing to tidy up; return whether it did not before."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as in the background of a script
        return False
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return True
