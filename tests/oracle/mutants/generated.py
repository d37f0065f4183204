"""The oracle against every single-token mutation of the library's equation functions.

    python tests/mutants/generated.py

Prints how many there are, the share that is rejected, the share that is named rightly, and each survivor with the
reason why it is no bug, held against a machine check. Exits with 1 if a survivor has no such reason.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parents[1]))

from copi_ref.arrays.backend import load_backend
from copi_ref.oracle import FUNCTIONS, PRECISIONS, Conventions, Result, check, checks
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import right_pieces
from copi_ref.oracle.judging.comparison import Observation, run_case
from copi_ref.oracle.naming.diagnosis import diagnose
from copi_ref.oracle.naming.evidence import Evidence
from mutants.exactly import where_same
from mutants.library import Implementation, imported
from mutants.mutations import TARGETS, Mutation, Target, mutations
from mutants.survivors import reason_of

SURVIVED, VERDICT, NAMED, MISNAMED, UNNAMED = "survived", "verdict", "named", "misnamed", "unnamed"
FLOAT64 = PRECISIONS["float64"]
OTHER_SEED = 12345

CONFIGURATIONS = {
    "right": Conventions(),
    "left": Conventions(lateral_rule="left"),
    "symmetric": Conventions(lateral_rule="symmetric"),
    "fa": Conventions(credit="fa"),
    "dfa": Conventions(credit="dfa"),
    "slope 3/8": Conventions(slope=0.375),  # 1/10 would hide a numerator in the wrong place
    "relu": Conventions(activation="relu"),
    "identity": Conventions(activation="identity"),
    # leaky ReLU would hide f′(y) in place of f′(a)
    "tanh": Conventions(activation="tanh"),
    "fa tanh": Conventions(credit="fa", activation="tanh"),
    "dfa tanh": Conventions(credit="dfa", activation="tanh"),
}


@dataclass(frozen=True)
class Judged:
    """What the oracle said to a mutation, and how that is judged."""

    mutation_key: str
    function: str
    status: str
    configuration: str = ""
    variant: str = ""
    diagnosis: str = ""
    same: str = ""


def judge(mutation: Mutation) -> Judged:
    """Run the oracle on a mutation, under each of its conventions until one rejects it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            with imported(mutation.target.file, mutation.source):
                return _judged(mutation)
        except Exception as error:  # at import: whoever wrote it sees that without an oracle
            return Judged(mutation.key, mutation.target.function, VERDICT, "import", "verdict", repr(error))


def _judged(mutation: Mutation) -> Judged:
    for configuration in mutation.target.configurations:
        conventions = CONFIGURATIONS[configuration]
        implementation = Implementation(conventions)
        for name in mutation.target.only:  # one by one, in the order of `check`: the first that fails is judged
            report = check(implementation, conventions=conventions, only=(name,), xp=np)
            if not report.ok:
                first = next(result for result in report.results if result.status == "failed")
                status = _status(first, Caller(implementation, conventions, FLOAT64, load_backend("numpy")))
                return Judged(
                    mutation.key, mutation.target.function, status, configuration, first.variant, first.diagnosis
                )
    same = where_same([CONFIGURATIONS[configuration] for configuration in mutation.target.configurations])
    return Judged(mutation.key, mutation.target.function, SURVIVED, same=same)


def _status(first: Result, caller: Caller) -> str:
    """Judge a name: it is right if what it stands for gives the mutant's results on inputs that it was not found on.

    A formula with fitted numbers, or a mistake in some places only, has to be found there again.
    """
    if first.variant == "verdict":
        return VERDICT
    if not first.variant:
        return UNNAMED
    function = FUNCTIONS[first.check]
    found = diagnose(function, caller.conventions, caller.precision, _observed(caller, function, 0))
    if found.name != first.variant:
        return MISNAMED
    fresh = _observed(caller, function, OTHER_SEED)
    pieces = found.change(right_pieces(caller.conventions)) if found.change else None
    if pieces is not None:
        return NAMED if Evidence(function, caller.precision, fresh).explained_by(pieces) else MISNAMED
    return NAMED if diagnose(function, caller.conventions, caller.precision, fresh).name == found.name else MISNAMED


def _observed(caller: Caller, function: Function, seed: int) -> list[Observation]:
    """What came on the cases of a seed."""
    cases = checks.draw_cases(function, caller.conventions, caller.precision, seed)
    outcomes = [run_case(caller, function, case) for case in cases]
    return [one.observation for one in outcomes if one.observation is not None]


def judged(targets: Iterable[Target], workers: int) -> list[Judged]:
    """All mutations of the targets, judged."""
    every = [mutation for target in targets for mutation in mutations(target)]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(judge, every, chunksize=8))


# --- survivors --------------------------------------------------------------------------------------------------------


def reason(survivor: Judged) -> str:
    """Why a survivor is no bug that the oracle should see; "" if that is not shown."""
    return reason_of(survivor.function, survivor.mutation_key.partition(" -> ")[2], survivor.same)


# --- report -----------------------------------------------------------------------------------------------------------


def main() -> int:
    """Judge all mutations and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--function", action="append", help="only mutations of this function; may be repeated")
    parser.add_argument("--all", action="store_true", help="list those that are not named rightly, too")
    asked = parser.parse_args()
    targets = [target for target in TARGETS if not asked.function or target.function in asked.function]
    found = judged(targets, asked.workers)
    _print_shares(found)
    if asked.all:
        for one in found:
            if one.status in (UNNAMED, MISNAMED):
                print(f"{one.status} ({one.variant}; {one.configuration}): {one.mutation_key}\n    {one.diagnosis}")
    survivors = [one for one in found if one.status == SURVIVED]
    print(f"\n{len(survivors)} survivors:")
    for one in survivors:
        print(f"- {one.mutation_key}\n    {reason(one) or 'NOT SHOWN TO BE EQUIVALENT: ' + one.same}")
    return 0 if all(reason(one) for one in survivors) else 1


def _print_shares(found: list[Judged]) -> None:
    print(f"{'function':28}{'mutants':>8}{'killed':>8}{'verdict':>8}{'named':>8}{'misnamed':>9}{'unnamed':>8}")
    functions = list(dict.fromkeys(one.function for one in found))
    for function in [*functions, "all"]:
        count = Counter(one.status for one in found if function in (one.function, "all"))
        killed = count.total() - count[SURVIVED]
        cells = "".join(f"{count[status]:8}" for status in (VERDICT, NAMED)) + f"{count[MISNAMED]:9}{count[UNNAMED]:8}"
        print(f"{function:28}{count.total():8}{killed:8}{cells}")
    killed = count.total() - count[SURVIVED]
    compared = count[NAMED] + count[MISNAMED] + count[UNNAMED]
    print(f"\nkilled: {killed / max(1, count.total()):.1%}")
    print(f"named rightly, verdicts among them: {(count[NAMED] + count[VERDICT]) / max(1, killed):.1%} of those killed")
    print(f"named rightly, of wrong numbers only: {count[NAMED] / max(1, compared):.1%}")


if __name__ == "__main__":
    sys.exit(main())
