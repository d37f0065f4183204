"""On an NVIDIA GPU, in 12 minutes: MNIST at its published length, and then what `gpu.py` has not measured yet.

    python benchmarks/gpu_full.py FOLDER OUT [--minutes 12]
    python benchmarks/gpu_full.py --dry-run OUT      # the same commands on NumPy with digits: for trying, without a GPU

FOLDER holds MNIST's files. Five seeds of each method train as one ensemble for 100 epochs, their steps recorded as a
CUDA graph; OUT/log.txt has a line of each epoch as it ends, and a method's runs are written when it has had them all.
Then the CIFAR-10 network, TF32 and epochs that are not recorded. Last comes Adam, whose steps can't be recorded, as far
as the time goes. Run again with the same OUT, it leaves out what ended; what was stopped begins again. The exit status
is 0 if all ended, and 1 if something did not, or was stopped.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RECORDED = {"COPI_REF_BACKEND": "cupy", "COPI_REF_CUDA_GRAPH": "1"}
EAGER = {"COPI_REF_BACKEND": "cupy", "COPI_REF_CUDA_GRAPH": "0"}

Job = tuple[str, dict[str, str], list[str], Path | None]
"""A name, what it adds to the environment, the words after ``python``, and the file that it leaves when it ends.

Training has no such file: with ``--resume`` it sees for itself what has ended.
"""


def jobs(folder: Path | None, out: Path) -> list[Job]:
    """Return what is to be run, in its order; without a folder on NumPy and with digits."""

    def training(method: str, environment: dict[str, str]) -> Job:
        if folder is None:
            words = ["digits", "--hidden", "16", "--epochs", "4"]
        else:
            words = ["mnist", "--preset", "tmlr", "--epochs", "100", "--data-dir", str(folder)]
        words += ["--method", method, "--seeds", "5", "--ensemble", "--resume", "--out", str(out / "train")]
        return method, environment if folder else {}, ["-m", "copi_ref", "train", *words], None

    def measuring(name: str, *options: str) -> Job:
        words = ["--dry-run", "--rounds", "1", "--epochs", "1"] if folder is None else list(options)
        file = out / f"{name.replace(' ', '-')}.json"
        data = {"COPI_REF_DATA": str(folder)} if folder else {}
        return name, data, [str(FOLDER / "gpu.py"), *words, "--json", str(file)], file

    return [
        *(training(method, RECORDED) for method in ("copi-bp", "bp-decorrelated", "copi-fa")),
        measuring("cifar10", "--network", "cifar10", "--members", "1", "5", "--rounds", "5", "--epochs", "1"),
        measuring("tf32", "--network", "cifar10", "--members", "1", "--rounds", "5", "--epochs", "0", "--tf32"),
        measuring("mnist epochs", "--network", "mnist", "--members", "1", "5", "--rounds", "3", "--epochs", "1"),
        training("bp-adam", EAGER),
    ]


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="that holds MNIST's files")
    parser.add_argument("out", type=Path, help="folder for runs, tables and logs")
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--dry-run", action="store_true", help="on NumPy, with digits")
    options = parser.parse_args()
    if (options.folder is None) != options.dry_run:
        parser.error("needs FOLDER and OUT, or --dry-run and OUT")
    options.out.mkdir(parents=True, exist_ok=True)
    end, ended = time.monotonic() + 60 * options.minutes, True
    for name, environment, words, file in jobs(options.folder, options.out):
        if file is not None and file.exists():
            print(f"{name:18} {'':6}     ended before", flush=True)
            continue
        start = time.monotonic()
        with (options.out / "log.txt").open("a", encoding="utf-8") as log:
            try:
                done = subprocess.run(
                    [sys.executable, *words],
                    env={**os.environ, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=max(0.1, end - start),
                )
                state = "ended" if done.returncode == 0 else f"ended with status {done.returncode}, see log.txt"
            except subprocess.TimeoutExpired:
                state = "stopped: the time was over"
        ended &= state == "ended"
        print(f"{name:18} {time.monotonic() - start:6.0f} s   {state}", flush=True)
    return 0 if ended else 1


if __name__ == "__main__":
    sys.exit(main())
