"""The command `copi-ref explore`: lectures that can be touched, in a browser on this machine."""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from copi_ref.lectures import LECTURES

HOST = "127.0.0.1"


def add_commands(commands: Any) -> None:
    """Add `explore` to the command's parsers."""
    explore = commands.add_parser(
        "explore", help="open lectures that can be touched, in a browser", epilog=_listed(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    explore.add_argument("lecture", nargs="?", choices=LECTURES, metavar="LECTURE", help="default: a list of all")
    explore.add_argument("--port", type=_port, help="of the server, for this machine only (default: a free one)")
    explore.add_argument(
        "--no-browser", action="store_true", help="only print the address: the browser may be at the end of a tunnel"
    )
    explore.set_defaults(command=_explore)


def _listed() -> str:
    width = max(map(len, LECTURES))
    return "lectures:\n" + "\n".join(f"  {name:{width}}  {about}" for name, about in LECTURES.items())


def _port(text: str) -> int:
    port = int(text)  # argparse says what a ValueError is about
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text!r}: needs a number from 1 to 65535")
    return port


def _explore(options: argparse.Namespace) -> int:
    for name in ("marimo", "sklearn", "matplotlib"):
        if find_spec(name) is None:
            raise ImportError(f'{name} is not installed: pip install "copi_ref[explore]"')
    if not options.no_browser:
        _require_browser()
    port, token = options.port or 0, secrets.token_urlsafe(16)
    with socket.socket() as found:  # raises OSError where the port is taken
        found.bind((HOST, port))
        port = found.getsockname()[1]
    address = f"http://{HOST}:{port}/?access_token={token}&file={options.lecture or 'index'}.py"
    return _serve(port, token, address, open_it=not options.no_browser)


def _require_browser() -> None:
    """Check that there is a browser that could show a page, and say what else can be done if not."""
    instead = "copi-ref explore --no-browser prints an address to open elsewhere, as through `ssh -L`"
    if sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        raise OSError(f"there is no display for a browser (DISPLAY is not set): {instead}")
    try:
        webbrowser.get()
    except webbrowser.Error as error:
        raise OSError(f"there is no browser: {instead}") from error


def _serve(port: int, token: str, address: str, open_it: bool) -> int:
    """Run marimo's server until it is interrupted; the token goes through its standard input, unseen."""
    folder = Path(__file__).parents[1] / "lectures"
    command = [
        *(sys.executable, "-m", "marimo", "--quiet", "--yes", "run", "--headless", "--no-sandbox", "--include-code"),
        *("--host", HOST, "--port", str(port), "--token", "--token-password-file", "-"),
        *(str(folder / f"{name}.py") for name in ("index", *LECTURES)),
    ]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else the server would outlive a command that is ended
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdin is not None
            with server.stdin as stdin:
                stdin.write(token)
            while server.poll() is None and not _answers(port):
                time.sleep(0.1)
            if server.poll() is None:
                print(f"Lectures at {address}\nTo end: Ctrl-C", flush=True)
                if open_it:
                    webbrowser.open(address)
            server.wait()
        except KeyboardInterrupt:
            server.terminate()
            return 0
    if server.returncode:
        raise OSError(f"marimo's server ended with code {server.returncode}")
    return 0


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex((HOST, port)) == 0
