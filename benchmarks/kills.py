"""Kill training at random moments, resume it, and hold what it leaves against a run that was left alone.

    python benchmarks/kills.py                 100 kills: 60 of `copi-ref train`, 40 of `copi-ref sweep --jobs 2`
    python benchmarks/kills.py --rounds 1      8 kills

Each round kills four times in a row by SIGKILL, at moments spread over the time that the whole takes, and lets it end
then. Of a sweep it is the main process that is killed; its workers have to end by themselves, and the round waits for
that. The bytes of checkpoint.npz and outcome.json have to be the same, and all metrics but for the seconds. The exit
status is 1 if they are not.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KILLS = 4  # in a round
METHODS = (
    "copi-bp",
    "copi-fa",
    "bp-adam",
    "copi-node",
)  # plain; feedback; an optimizer's memory; random, and it diverges
SWEEP = """dataset = "{data}"
preset = "demo"
methods = {methods}
seeds = 1
epochs = 25
hidden = [60]
"""


def command(kind: str, data: Path, out: Path, method: str) -> list[str]:
    """Return the command, which is the same whether it begins or goes on."""
    if kind == "train":
        words = ["train", data, "--preset", "demo", "--method", method, "--epochs", 40, "--hidden", 60, "--resume"]
    else:
        words = ["sweep", data.with_suffix(".toml"), "--jobs", 2, "--threads", 1]
    return list(map(str, [sys.executable, "-m", "copi_ref", *words, "--checkpoint-seconds", 0.02, "--out", out]))


def run(words: list[str], seconds: float | None = None) -> int:
    """Run a command, kill it after so many seconds, and wait for all that holds its output; return its status."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return process.returncode


def left(out: Path) -> dict[str, bytes]:
    """Return what there is of each run, but for what the clock decides."""
    found = {}
    for folder in (path.parent for path in out.rglob("config.json")):
        place = folder.relative_to(out)
        for name in ("checkpoint.npz", "outcome.json"):
            found[f"{place}/{name}"] = (folder / name).read_bytes() if (folder / name).exists() else b""
        lines = (folder / "metrics.csv").read_text().splitlines() if (folder / "metrics.csv").exists() else []
        found[f"{place}/metrics.csv"] = "\n".join(line.rpartition(",")[0] for line in lines).encode()
        found[str(place)] = " ".join(sorted(path.name for path in folder.iterdir())).encode()
    return found


def main() -> int:
    """Kill, resume and compare, and print a line per round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of 12 kills of train and 8 of sweep (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as root:
        data = Path(root, "own.npz")
        centres, y = rng.normal(size=(5, 30)), np.arange(1500) % 5
        x = (centres[y] + 0.5 * rng.normal(size=(1500, 30))).astype(np.float32)
        np.savez(data, x_train=x[:1200], y_train=y[:1200], x_test=x[1200:], y_test=y[1200:])
        data.with_suffix(".toml").write_text(SWEEP.format(data=data, methods=str(list(METHODS)).replace("'", '"')))
        alone: dict[str, tuple[int, dict[str, bytes], float]] = {}
        kills = different = 0
        for number in range(5 * options.rounds):
            kind, method = ("sweep", "") if number % 5 > 2 else ("train", METHODS[number % len(METHODS)])
            if kind + method not in alone:
                start, out = time.perf_counter(), Path(root, f"alone-{kind}-{method}")
                status = run(command(kind, data, out, method))
                alone[kind + method] = status, left(out), time.perf_counter() - start
            ended, expected, seconds = alone[kind + method]
            out, killed = Path(root, f"killed-{number}"), 0
            for _ in range(KILLS):
                killed += run(command(kind, data, out, method), rng.uniform(0, 0.8 * seconds)) < 0
            status, found = run(command(kind, data, out, method)), left(out)
            wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
            kills, different = kills + killed, different + bool(wrong or status != ended)
            print(
                f"{kind} {method}: {killed} kills, then status {status}: {'; '.join(wrong) or 'same bits'}", flush=True
            )
        print(f"{kills} kills in {5 * options.rounds} rounds, of which {different} ended otherwise than left alone")
        return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
