"""The time of one COPI step: this library, literal and best-ordered PyTorch, and the floors that the products set.

    python benchmarks/step.py [--network mnist cifar10] [--rounds 25] [--threads 2] [--json FILE]
    python benchmarks/step.py --epochs 3     # and, after that, steps one after the other for whole epochs
    python benchmarks/step.py --rules        # what a step costs with each lateral rule, instead
    python benchmarks/step.py --kernels SkylakeX Haswell    # and with these kernels of OpenBLAS, instead
    python benchmarks/step.py --profile      # where the library's step spends its time, by operation, instead

Each contender runs in a process of its own and they take turns; every ratio is taken round by round. Before that,
each has to make the step that `copi_ref.step` makes in float64. There are two floors, measured in the same rounds: the
step's products alone, which no step can be faster than; and the time that they would take at the rate of a big matrix
product, which products with a batch don't reach. It measures and does not judge: the exit status is 0 whether targets
are met or not, and 1 only if a contender makes another step.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import step_profile
from contenders import (
    BATCH,
    FLOORS,
    LATERAL_RULES,
    LIBRARY,
    LITERAL,
    MATMUL,
    MATMUL_SIZE,
    NETWORKS,
    ON_CPU,
    ORDERED,
    PRODUCTS,
    TIMED_RATE,
    draw_problem,
    flops,
)
from turns import (
    Worker,
    ask,
    machine,
    print_machine,
    ratios,
    save,
    shown,
    spread,
    take_turns,
    usable_cores,
    worker_facts,
    workers,
)

AT_MOST = {("mnist", LITERAL): 0.45, ("cifar10", LITERAL): 0.12, ("mnist", ORDERED): 0.75, ("cifar10", ORDERED): 0.85}
"""Targets: the library's time over the contender's."""
PRODUCTS_AT_LEAST = 0.8
"""Target: the share of a step that its products alone take."""
AT_MOST_LEFT = {"copi_ref, symmetric": 1.15}
"""Target: the time of a step with a lateral rule over that with `left`."""
EPOCH_SAMPLES = 20_000  # 400 steps: seconds, and not a burst
TOLERANCE = 1e-3
"""Of an update, ‖ΔW − ΔW of the float64 step‖/‖ΔW‖: rounding gives about 1e-6, a wrong formula more than 1e-2. Between
them is one sample's δ that changes by 0.9 where rounding carries a pre-activation over the kink: up to about 6e-4."""

Row = dict[str, Any]


def verify(worker: Worker, sizes: Sequence[int], batch: int, **request: Any) -> float:
    """Return the largest relative error of a contender's updates, against the pure step in float64.

    The request may say more of the contender, such as its device.

    The rates are 1 and 1/2: with small ones a wrong update would hide in the rounding of the weights, and with equal
    ones a mix-up of the two.
    """
    problem = draw_problem(sizes, batch)
    before = [array.astype(np.float64) for array in (*problem.W, *problem.R)]
    ask(worker, "make", sizes=sizes, batch=batch, eta_w=1.0, eta_r=0.5, **request)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.npz"
        ask(worker, "save", file=str(file))
        with np.load(file) as saved:
            after = [saved[name].astype(np.float64) for name in saved.files]
    worst = 0.0
    for start, end, right in zip(before, after, _float64_step(sizes, batch), strict=True):
        worst = max(worst, float(np.linalg.norm(end - right) / np.linalg.norm(right - start)))
    return worst


def _float64_step(sizes: Sequence[int], batch: int) -> list[Any]:
    import copi_ref as copi

    problem = draw_problem(sizes, batch)
    W, R = (tuple(array.astype(np.float64) for array in arrays) for arrays in (problem.W, problem.R))
    recipe = copi.Recipe(eta_w=1.0, eta_r=0.5, loss=copi.quadratic, lateral_rule="right", dtype="float64")
    state = copi.init_state(recipe, (1,) * len(sizes), np.random.default_rng(0), np)
    state = copi.State(copi.Params(W, R), state.optimizer, state.feedback, state.rng_state)
    y0, target = problem.y0.astype(np.float64), problem.target.astype(np.float64)
    params = copi.step(recipe, state, y0, target).params
    return [*params.W, *params.R]


def measure(network: str, rounds: int, seconds: float, threads: int) -> dict[str, Any]:
    """Verify all contenders on a network, then time them in turn.

    Raises:
        SystemExit: one of them makes another step.
    """
    sizes = NETWORKS[network]
    with workers("contenders.py", ON_CPU, threads) as started:
        errors = {name: verify(worker, sizes, BATCH) for name, worker in started.items() if name not in FLOORS}
        for name, error in errors.items():
            print(f"{name}: the step of copi_ref.step in float64, within {error:.1e}", file=sys.stderr)
            if not error <= TOLERANCE:
                sys.exit(f"{name} makes another step: its updates are off by {error:.1e}, allowed is {TOLERANCE}")
        for worker in started.values():
            ask(worker, "make", sizes=sizes, batch=BATCH, eta_w=TIMED_RATE, eta_r=TIMED_RATE)
        times = take_turns(started, rounds, seconds)
    terms = flops(sizes, BATCH)
    rate = 2 * MATMUL_SIZE["cpu"] ** 3 / np.asarray(times[MATMUL])
    floor = sum(terms.values()) / rate
    return {
        "sizes": sizes,
        "batch": BATCH,
        "flops": terms,
        "gigaflops a second": spread(list(rate / 1e9)),
        "floor, ms": spread(list(floor * 1e3)),
        "products alone, ms": spread([1e3 * one for one in times[PRODUCTS]]),
        "contenders": {name: _row(network, name, times, list(floor)) for name in errors},
        "errors": errors,
        "milliseconds by round": {name: [1e3 * one for one in values] for name, values in times.items()},
    }


def _row(network: str, name: str, times: dict[str, list[float]], floor: list[float]) -> Row:
    row: Row = {
        "ms": spread([1e3 * one for one in times[name]]),
        "share of floor": ratios(floor, times[name]),
        "share of products": ratios(times[PRODUCTS], times[name]),
    }
    if name != LIBRARY:
        row["copi_ref's time over its"] = ratios(times[LIBRARY], times[name])
    if name == LIBRARY:
        row["target"] = _target(row["share of products"]["median"], "≥", PRODUCTS_AT_LEAST)
    elif (network, name) in AT_MOST:
        row["target"] = _target(row["copi_ref's time over its"]["median"], "≤", AT_MOST[network, name])
    return row


def _target(measured: float, sign: str, target: float) -> str:
    met = measured <= target if sign == "≤" else measured >= target
    return f"{sign} {target:.2f} {'met' if met else 'NOT met'}"


def report(network: str, result: dict[str, Any]) -> str:
    """Return the table of one network."""
    sizes, terms = result["sizes"], result["flops"]
    rate, floor, products = (result[name] for name in ("gigaflops a second", "floor, ms", "products alone, ms"))
    lines = [
        f"\n{network}: {'-'.join(map(str, sizes))}, batch {result['batch']}, float32",
        "products of a step, Mflop: " + " + ".join(f"{value / 1e6:.0f} ({name})" for name, value in terms.items()),
        f"floor: {sum(terms.values()) / 1e6:.0f} Mflop at {shown(rate, '.0f')} Gflop/s, the rate of a "
        f"{MATMUL_SIZE['cpu']}² product: {shown(floor, '.2f')} ms",
        f"products alone: {shown(products, '.2f')} ms",
        f"{'median [quartiles]':24}{'ms a step':>26}"
        + "".join(f"{above + ' / it':>20}" for above in ("copi_ref", "products", "floor"))
        + "   target",
    ]
    for name, row in result["contenders"].items():
        ratio = row.get("copi_ref's time over its")
        lines.append(
            f"{name:24}{shown(row['ms'], '.2f'):>26}{shown(ratio, '.2f') if ratio else '':>20}"
            f"{shown(row['share of products'], '.2f'):>20}{shown(row['share of floor'], '.2f'):>20}"
            f"   {row.get('target', '')}"
        )
    return "\n".join(lines)


def measure_epochs(network: str, rounds: int, threads: int) -> Row:
    """Time whole epochs in turn, without metrics: steps one after the other for seconds, and not in a burst."""
    request = {"sizes": NETWORKS[network], "batch": BATCH, "samples": EPOCH_SAMPLES, "members": 1, "device": "cpu"}
    times: dict[str, list[float]] = {}
    with workers("epochs.py", (LIBRARY, ORDERED), threads) as started:
        for name, worker in started.items():
            rates = {"eta_w": TIMED_RATE, "eta_r": TIMED_RATE}
            ask(worker, "make", **request, **rates, what="epoch", contender=name)
        times = take_turns(started, rounds, seconds=0)
    a_step = {name: [1e3 * one * BATCH / EPOCH_SAMPLES for one in seconds] for name, seconds in times.items()}
    over = ratios(times[LIBRARY], times[ORDERED])
    return {"ms": {name: spread(one) for name, one in a_step.items()}, "copi_ref's time over ordered": over}


def report_epochs(network: str, result: Row) -> str:
    """Return a line for each contender, and one for their ratio."""
    lines = [f"\n{network}: ms a step over {EPOCH_SAMPLES} samples, shuffled and gathered"]
    lines += [f"{name:24}{shown(of, '.2f'):>26}" for name, of in result["ms"].items()]
    over = shown(result["copi_ref's time over ordered"], ".2f")
    return "\n".join([*lines, f"{'copi_ref / ordered':24}{over:>26}"])


def measure_variants(network: str, started: dict[str, Worker], rounds: int, seconds: float) -> dict[str, Row]:
    """Time workers of the library's step in turn, against the first."""
    for worker in started.values():
        ask(worker, "make", sizes=NETWORKS[network], batch=BATCH, eta_w=TIMED_RATE, eta_r=TIMED_RATE)
    times = take_turns(started, rounds, seconds)
    first = next(iter(times.values()))
    return {
        name: {"ms": spread([1e3 * one for one in of]), "its time over the first's": ratios(of, first)}
        for name, of in times.items()
    }


def report_variants(network: str, rows: dict[str, Row]) -> str:
    """Return the table of one network."""
    lines = [f"\n{network + ', copi_ref in place':28}{'ms a step':>30}{'it / the first':>22}   target"]
    for name, row in rows.items():
        over = row["its time over the first's"]
        target = _target(over["median"], "≤", AT_MOST_LEFT[name]) if name in AT_MOST_LEFT else ""
        lines.append(f"{name:28}{shown(row['ms'], '.2f'):>30}{shown(over, '.2f'):>22}   {target}")
    return "\n".join(lines)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a contender's turn in a round")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of every contender")
    parser.add_argument("--epochs", type=int, default=0, help="so many whole epochs of each, besides")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--rules", action="store_true", help="the library's step with each lateral rule, instead")
    instead.add_argument("--kernels", nargs="+", default=[], metavar="NAME", help="of OpenBLAS, instead; as Haswell")
    instead.add_argument("--profile", action="store_true", help="the library's step by operation, instead")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    arguments = parser.parse_args()
    kernels = {}
    for name in arguments.kernels:
        kernels[f"kernel {name}"] = environment = {"OPENBLAS_CORETYPE": name}
        ran = worker_facts(arguments.threads, environment)["blas threads"]
        if name not in ran.replace(")", "").split():
            parser.error(f"--kernels: asked for the kernel {name}, BLAS has {ran}")  # it takes another without a word
    results: dict[str, Any] = {"machine": machine(arguments.threads)}
    print_machine(results["machine"])
    for network in arguments.network:
        if arguments.profile:
            results[network] = step_profile.measure(network, arguments.rounds, arguments.threads)
            print(step_profile.report(network, results[network]), flush=True)
        elif arguments.rules or arguments.kernels:
            names, one = (list(kernels), LIBRARY) if kernels else (list(LATERAL_RULES), None)
            with workers("contenders.py", names, arguments.threads, kernels, one) as started:
                results[network] = measure_variants(network, started, arguments.rounds, arguments.seconds)
            print(report_variants(network, results[network]), flush=True)
        else:
            results[network] = measure(network, arguments.rounds, arguments.seconds, arguments.threads)
            print(report(network, results[network]), flush=True)
        if arguments.epochs:
            results[f"{network}, epochs"] = measure_epochs(network, arguments.epochs, arguments.threads)
            print(report_epochs(network, results[f"{network}, epochs"]), flush=True)
    save(results, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
