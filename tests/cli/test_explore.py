"""The command `copi-ref explore`: what it says where it can't open a page, and who gets an answer."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from copi_ref.cli import explore
from copi_ref.cli.main import main


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(explore, "find_spec", lambda name: None)
    assert main(["explore"]) == 2
    assert capsys.readouterr().err == 'copi-ref: marimo is not installed: pip install "copi_ref[explore]"\n'


def test_an_unknown_lecture_is_refused_with_the_names_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["explore", "alchemy"])
    assert ended.value.code == 2
    assert "'one_step'" in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is no variable that says so")
def test_without_a_display_it_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(explore, "find_spec", lambda name: True)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert main(["explore"]) == 2
    assert "no display for a browser" in (said := capsys.readouterr().err)
    assert "--no-browser" in said


def test_without_a_browser_it_says_what_to_do(monkeypatch, capsys):
    def no_browser():
        raise explore.webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(explore, "find_spec", lambda name: True)
    monkeypatch.setattr(explore.webbrowser, "get", no_browser)
    monkeypatch.setenv("DISPLAY", ":0")
    assert main(["explore"]) == 2
    assert "there is no browser: copi-ref explore --no-browser" in capsys.readouterr().err


@pytest.mark.needs("marimo")
def test_a_port_that_is_taken_is_an_error(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["explore", "--no-browser", "--port", str(port)]) == 2
    assert "in use" in capsys.readouterr().err


@pytest.mark.needs("marimo")
def test_two_servers_at_once_answer_this_machine_with_their_token_and_end_with_an_interrupt():
    command = [sys.executable, "-m", "copi_ref", "explore", "one_step", "--no-browser"]
    servers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) for _ in range(2)]
    try:
        addresses = [re.search(r"http://127\.0\.0\.1:\d+/\S+", server.stdout.readline())[0] for server in servers]
        assert addresses[0].split("/")[2] != addresses[1].split("/")[2]
        with urllib.request.urlopen(addresses[0]) as page:
            assert page.status == 200
        bare = re.sub(r"access_token=[^&]*&", "", addresses[0])
        with urllib.request.urlopen(bare) as page:
            assert "/auth/login" in page.url, "without the token it asks for it"
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGINT)
            server.stdout.close()
    assert [server.wait(20) for server in servers] == [0, 0]
