"""A test of the tests: the oracle rejects wrong implementations, and names what is wrong with them."""

import numpy as np
import pytest
from mutants.generated import MISNAMED, SURVIVED, judge, reason
from mutants.handwritten import MUTANTS
from mutants.held_out import HELD_OUT, HELD_OUT_UNNAMED
from mutants.mutant import BASES, plain
from mutants.mutations import TARGETS, mutations

from copi_ref.oracle import Report, check

# One mutant takes np.corrcoef of a single sample: what comes of it is judged, not that NumPy warns.
pytestmark = pytest.mark.filterwarnings("ignore:Degrees of freedom <= 0:RuntimeWarning")

_reports: dict[int, Report] = {}


def report_of(mutant):
    """Each is run once for all tests."""
    if id(mutant) not in _reports:
        _reports[id(mutant)] = mutant.report()
    return _reports[id(mutant)]


def name_of(report):
    return "not implemented" if report.missing else report.variant


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("base", BASES)
def test_what_the_mutants_are_made_from_is_right(base, precision):
    with np.errstate(all="ignore"):
        check(plain(base), conventions=BASES[base].conventions, precision=precision, xp=np).raise_if_failed()


def test_there_are_enough_of_them_and_half_are_whole_steps():
    assert len(MUTANTS) >= 60
    assert sum(mutant.function == "step" for mutant in MUTANTS) >= len(MUTANTS) / 2
    names = [(mutant.function, mutant.name) for mutant in MUTANTS]
    assert len(set(names)) >= 0.9 * len(names)  # a few are the same mistake under two conventions


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.function}: {mutant.name}")
def test_it_is_rejected_with_a_reason(mutant):
    report = report_of(mutant)
    assert not report.ok, "passes"
    assert report.missing or report.diagnosis
    assert "a fault of copi_ref" not in report.summary()


def test_nine_of_ten_are_named_rightly():
    wrong = [
        f"{mutant.function}: {mutant.name}: {name_of(report)!r}, not {' or '.join(mutant.named)}"
        for mutant in MUTANTS
        if name_of(report := report_of(mutant)) not in mutant.named
    ]
    assert len(wrong) <= len(MUTANTS) / 10, "\n".join([f"{len(wrong)} of {len(MUTANTS)}:", *wrong])


@pytest.mark.parametrize("mutant", HELD_OUT + HELD_OUT_UNNAMED, ids=lambda mutant: f"{mutant.function}: {mutant.name}")
def test_a_held_out_mutant_is_rejected(mutant):
    report = report_of(mutant)
    assert not report.ok, "passes"
    assert report.diagnosis


@pytest.mark.parametrize("mutant", HELD_OUT + HELD_OUT_UNNAMED, ids=lambda mutant: f"{mutant.function}: {mutant.name}")
def test_a_held_out_mutant_has_its_name_by_now(mutant):
    assert name_of(report_of(mutant)) in mutant.named


SAMPLED = ("copi_update", "sgd_update", "identity", "decorrelated", "backpropagated")


@pytest.mark.parametrize("function", SAMPLED)
def test_every_third_generated_mutation_is_rejected_or_no_bug(function):
    (target,) = (target for target in TARGETS if target.function == function)
    for mutation in list(mutations(target))[::3]:
        judged = judge(mutation)
        assert judged.status != MISNAMED, judged
        assert judged.status != SURVIVED or reason(judged), judged
