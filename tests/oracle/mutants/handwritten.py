"""The hand-written mutants: bugs that people write, and what the oracle has to call them."""

from mutants.functions import FUNCTION_MUTANTS
from mutants.mutant import Mutant
from mutants.rewritten_steps import REWRITTEN_STEPS
from mutants.steps import STEP_MUTANTS
from mutants.verdicts import VERDICTS

MUTANTS: tuple[Mutant, ...] = (*FUNCTION_MUTANTS, *STEP_MUTANTS, *REWRITTEN_STEPS, *VERDICTS)
