"""Downloads, from a server on this machine: what comes is checked, and nothing else is left behind."""

import gzip
import hashlib
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from idx_files import FILES, idx

from copi_ref.cli.main import main
from copi_ref.data import DataError, load_named
from copi_ref.data.fetch import SOURCES, Source, fetch

pooch = pytest.importorskip("pooch", reason="downloads need pooch (extra `data`)")
pytest.importorskip("tqdm", reason="the progress bar needs tqdm (extra `data`)")

CONTENT = {f"/good/{name}.gz": gzip.compress(idx(array)) for name, array in FILES.items()}


class Handler(BaseHTTPRequestHandler):
    """Below /good/ the files; below /wrong/ others; /cut/ ends too early; /page/ calls them encoded pages."""

    def do_GET(self):
        kind, _, file = self.path[1:].rpartition("/")
        content = CONTENT.get(f"/good/{file}")
        self.server.asked.append(self.path)
        if kind == "missing" or content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if kind == "page":
            self.send_header("Content-Encoding", "x-gzip")
        self.end_headers()
        self.wfile.write({"wrong": content[::-1], "cut": content[:-5]}.get(kind, content))

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        running.address = f"http://127.0.0.1:{running.server_address[1]}"
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def mirrors(server, monkeypatch):
    """A function that puts MNIST on the server's folders, as mirrors in that order."""
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")

    def put(*kinds):
        files = {path.rpartition("/")[2]: hashlib.md5(content).hexdigest() for path, content in CONTENT.items()}
        addresses = tuple(kind if kind.startswith("http") else f"{server.address}/{kind}/" for kind in kinds)
        monkeypatch.setitem(SOURCES, "mnist", Source(addresses, files, folder="mnist"))

    return put


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


WHOLE = sorted(f"mnist/{name}.gz" for name in FILES)


def test_what_is_fetched_can_be_loaded(mirrors, tmp_path, capsys):
    mirrors("good")
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path)]) == 0
    assert everything_in(tmp_path) == WHOLE
    printed = capsys.readouterr()
    assert printed.out.split() == [str(tmp_path / "mnist" / f"{name}.gz") for name in FILES]
    assert "100%" in printed.err, "a progress bar"
    assert load_named("mnist", tmp_path).y_train.tolist() == [0, 1, 9, 3, 4, 5]


def test_the_folder_may_be_that_of_the_environment(mirrors, tmp_path, monkeypatch, capsys):
    mirrors("good")
    monkeypatch.setenv("COPI_REF_DATA", str(tmp_path / "new" / "folder"))
    assert main(["data", "fetch", "mnist"]) == 0
    assert everything_in(tmp_path / "new" / "folder") == WHOLE
    monkeypatch.delenv("COPI_REF_DATA")
    assert main(["data", "fetch", "mnist"]) == 2
    assert (
        "mnist needs a folder for its files: name it, as data_dir (--data-dir) or $COPI_REF_DATA"
        in capsys.readouterr().err
    )


def test_files_that_are_there_are_not_fetched_again(mirrors, server, tmp_path):
    mirrors("good")
    fetch("mnist", tmp_path)
    assert len(server.asked) == 4
    (tmp_path / WHOLE[0]).write_bytes(b"damaged since")
    fetch("mnist", tmp_path)
    assert server.asked[4:] == [f"/good/{WHOLE[0].rpartition('/')[2]}"]
    assert (tmp_path / WHOLE[0]).read_bytes() == CONTENT[server.asked[4]]


def refusing():
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.mark.parametrize("first", ["missing", "wrong", "cut", "refusing"])
def test_the_next_mirror_is_tried_and_the_first_is_named(first, mirrors, tmp_path, caplog):
    mirrors(refusing() if first == "refusing" else first, "good")
    pooch.get_logger().addHandler(caplog.handler)  # it is no child of the root, where caplog listens
    try:
        fetch("mnist", tmp_path)
    finally:
        pooch.get_logger().removeHandler(caplog.handler)
    assert everything_in(tmp_path) == WHOLE
    assert f"{SOURCES['mnist'].mirrors[0]}train-images-idx3-ubyte.gz failed: " in caplog.text


@pytest.mark.parametrize(
    ("kind", "reason"), [("missing", "404"), ("wrong", "MD5 hash of downloaded file"), ("cut", "IncompleteRead")]
)
def test_what_no_mirror_has_is_an_error_that_names_it_and_nothing_is_left(kind, reason, mirrors, tmp_path, capsys):
    mirrors(kind, kind)
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path)]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith(f"copi-ref: {tmp_path}/mnist/train-images-idx3-ubyte.gz: no mirror gave it: ")
    assert message.count(f"/{kind}/train-images-idx3-ubyte.gz: ") == 2
    assert reason in message
    assert everything_in(tmp_path) == []


def test_an_older_file_stays_until_the_right_one_has_come(mirrors, tmp_path):
    mirrors("cut")
    (tmp_path / "mnist").mkdir()
    (tmp_path / WHOLE[2]).write_bytes(b"a user's own")
    with pytest.raises(DataError, match="no mirror gave it"):
        fetch("mnist", tmp_path)
    assert everything_in(tmp_path) == [WHOLE[2]]
    assert (tmp_path / WHOLE[2]).read_bytes() == b"a user's own"


def test_what_a_killed_download_left_is_removed_at_the_next(mirrors, tmp_path):
    """Not what was written to a moment ago, which another process may be downloading, nor anybody's own files."""
    mirrors("good")
    for name in (".incomplete/tmp_old", ".incomplete/tmp_new", "tmp_own"):
        path = tmp_path / "mnist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
        if not name.endswith("new"):
            os.utime(path, (0, 0))
    fetch("mnist", tmp_path)
    assert everything_in(tmp_path) == sorted([*WHOLE, "mnist/.incomplete/tmp_new", "mnist/tmp_own"])


def test_nothing_else_is_left(mirrors, tmp_path):
    mirrors("good")
    fetch("mnist", tmp_path)
    assert {path.name for path in (tmp_path / "mnist").iterdir()} == {f"{name}.gz" for name in FILES}


def test_a_server_that_calls_a_gz_file_an_encoded_page(mirrors, tmp_path):
    mirrors("page")
    for path in fetch("mnist", tmp_path):
        assert path.read_bytes() == CONTENT[f"/good/{path.name}"]


def test_files_are_as_readable_as_their_folder(mirrors, tmp_path):
    mirrors("good")
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist").chmod(0o750)
    assert {path.stat().st_mode & 0o777 for path in fetch("mnist", tmp_path)} == {0o640}


def test_a_folder_that_can_not_be_written_to(mirrors, tmp_path, capsys):
    mirrors("good", "good")
    (tmp_path / "mnist").write_text("a file")
    assert main(["data", "fetch", "mnist", "--data-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "mnist") in error
    assert "no mirror" not in error


@pytest.mark.parametrize("module", ["pooch", "tqdm"])
def test_the_extra_that_is_missing_is_named(module, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["data", "fetch", "cifar10", "--data-dir", str(tmp_path)]) == 2
    assert 'pip install "copi_ref[data]"' in capsys.readouterr().err


def test_an_unknown_name(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["data", "fetch", "minst"])
    assert "mnist" in capsys.readouterr().err
    with pytest.raises(ValueError, match="name is 'minst': choose one of 'mnist', 'fashion-mnist', 'cifar10'"):
        fetch("minst", tmp_path)


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_is_well_formed_and_where_its_loader_looks(name):
    source = SOURCES[name]
    assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
    assert all(len(md5) == 32 and set(md5) <= set("0123456789abcdef") for md5 in source.files.values())
    assert len(set(source.files.values())) == len(source.files)
    assert source.folder == ("" if name == "cifar10" else name)
    expected = ["cifar-10-binary.tar.gz"] if name == "cifar10" else [f"{name}.gz" for name in FILES]
    assert list(source.files) == expected
