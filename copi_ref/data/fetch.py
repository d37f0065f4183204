"""Download the published data sets, checked against their known MD5s."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from copi_ref.arrays import checks
from copi_ref.data.cifar10 import ARCHIVE
from copi_ref.data.errors import DataError

_CHUNK = 1 << 16

INCOMPLETE = ".incomplete"
"""Folder beside the files for what has not come whole: there during a download, and after one that was killed."""

STALE = 600
"""Seconds without a write after which what is in it is nobody's."""


@dataclass(frozen=True)
class Source:
    """Where a data set comes from: addresses that end in /, tried in order, and its files with their MD5s."""

    mirrors: tuple[str, ...]
    files: dict[str, str]
    folder: str = ""  # in the data folder


SourceName = Literal["mnist", "fashion-mnist", "cifar10"]
SOURCES: dict[SourceName, Source] = {
    "mnist": Source(
        folder="mnist",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": Source(
        folder="fashion-mnist",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        files={
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "cifar10": Source(
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        files={ARCHIVE: "c32a1d4ab5d03f1284b67883e8d13530"},
    ),
}
"""The archives as their authors published them; `load_mnist` and `load_cifar10` read them as they are."""


def fetch(name: SourceName, data_dir: str | Path) -> list[Path]:
    """Download a data set's files, where they are not there already, and return their paths.

    A file that is there with another MD5 is replaced once the right one has come. What happens, and each mirror that
    failed, is written to pooch's log, which goes to stderr, as does the progress bar.

    Args:
        name: "mnist", "fashion-mnist" or "cifar10".
        data_dir: MNIST's files go to ``mnist/`` in it, Fashion-MNIST's to ``fashion-mnist/``, CIFAR-10's archive to
            the folder itself.

    Raises:
        ImportError: pooch or tqdm is not installed; the message says how to.
        ValueError: an unknown name.
        DataError: no mirror gave a file with the known MD5; nothing of it is left behind.
        OSError: the folder can't be written to.
    """
    source = checks.choice("name", name, SOURCES)
    folder = Path(data_dir) / source.folder
    return [_fetch_file(file, md5, source.mirrors, folder) for file, md5 in source.files.items()]


def _fetch_file(file: str, md5: str, mirrors: tuple[str, ...], folder: Path) -> Path:
    pooch = _pooch()
    from requests import RequestException

    if (folder / file).is_file() and pooch.file_hash(str(folder / file), alg="md5") == md5:
        return folder / file
    incomplete = folder / INCOMPLETE
    _remove_stale(incomplete)
    failures = []
    for url in (mirror + file for mirror in mirrors):
        try:
            come = pooch.retrieve(url, f"md5:{md5}", file, incomplete, downloader=_downloader(pooch))
            os.replace(come, folder / file)
            return folder / file
        except (RequestException, ValueError) as error:  # not reached, refused, cut off; or another MD5
            failures.append(f"{url}: {error}")
            pooch.get_logger().warning("%s failed: %s", url, error)
        finally:
            with suppress(OSError):  # it is not empty: another process downloads into it, or one was killed
                incomplete.rmdir()
    raise DataError(f"{folder / file}: no mirror gave it: {'; '.join(failures)}")


def _remove_stale(folder: Path) -> None:
    """Remove what downloads have left that were killed; one that goes on writes its file all the time."""
    for path in folder.glob("*"):
        if time.time() - path.stat().st_mtime > STALE:
            path.unlink(missing_ok=True)


def _downloader(pooch: Any) -> Callable[[str, str, Any], None]:
    from tqdm import tqdm

    def download(url: str, output: str, owner: Any) -> None:
        # It ends its line also if the download fails; pooch puts the real total in.
        with tqdm(total=1, unit="B", unit_scale=True, ncols=79) as bar:
            http = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK, hooks={"response": _as_it_is})
            http(url, output, owner)
        os.chmod(output, Path(output).parents[1].stat().st_mode & 0o666)  # as its folder; a temporary file is private

    return download


def _as_it_is(response: Any, **_: Any) -> None:
    """Some servers call a .gz file an encoded page: requests would unpack it, and its MD5 would be another."""
    response.raw.headers.pop("content-encoding", None)


def _pooch() -> Any:
    try:
        import pooch
        import tqdm  # noqa: F401  (pooch's progress bar)
    except ImportError as error:
        raise ImportError(f'{error.name} is not installed: pip install "copi_ref[data]"') from error
    return pooch
