"""Where Algorithm 1's line 15, the rule `right`, decorrelates from R = I: docs/results/proofs.md has the proofs.

That it leaves every bound elsewhere is a claim: tests/claims/test_claims_text_methods.py.
"""

from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from test_properties import off, second_moment

import copi_ref as copi


def decorrelable(seed):
    """Return a C₀ with ‖C_off‖ = m²/(5M), m and M its smallest and largest eigenvalues, by bisection."""
    rng = np.random.default_rng(seed)
    K = 2 + seed % 4
    powers, G = np.exp(rng.uniform(0, seed % 3, K)), rng.normal(size=(K, K))
    E = off(G + G.T)
    low, high = 0.0, 10.0
    for _ in range(60):
        factor = (low + high) / 2
        m, M = np.linalg.eigvalsh(np.diag(powers) + factor * E)[[0, -1]]
        meets = m > 0 and np.linalg.norm(factor * E) <= m**2 / (5 * M)
        low, high = (factor, high) if meets else (low, factor)
    return np.diag(powers) + low * E


@pytest.mark.parametrize("seed", range(8))
def test_the_flow_decorrelates_where_correlations_are_small(seed):
    """‖C_off‖ + H(q) never rises, q stays below its bound, and ‖C_off‖ falls like exp(−.3 m t)."""
    C0 = decorrelable(seed)
    K, (m, M) = len(C0), np.linalg.eigvalsh(C0)[[0, -1]]

    def velocity(t, entries):
        R = entries[:-1].reshape(K, K)
        A = off(R @ C0 @ R.T)
        return np.append(-R @ A, np.linalg.norm(A, 2))  # dq/dt is ‖C_off‖₂

    time = np.log(1e4) / (0.3 * m)
    solved = solve_ivp(velocity, (0, time), np.append(np.eye(K), 0), rtol=1e-10, atol=1e-13)
    sizes = np.array([np.linalg.norm(off(R @ C0 @ R.T)) for R in solved.y[:-1].T.reshape(-1, K, K)])
    v = np.expm1(2 * solved.y[-1])
    bound = sizes + m * v / (1 + v) - M * v**2 / 2
    assert sizes[0] > 0
    assert (np.diff(bound) <= 1e-8 * sizes[0]).all()
    assert (v < 2 * m / (5 * M)).all()
    assert (sizes <= sizes[0] * np.exp(-0.3 * m * solved.t) + 1e-8 * sizes[0]).all()


@pytest.mark.parametrize("seed", range(5))
def test_of_two_inputs_it_is_the_first_line(seed):
    """From R = I both R are polynomials in the exchange of the two, and commute with C_off; of three they don't."""
    rng = np.random.default_rng(seed)
    for K, same in ((2, True), (3, False)):
        y, R = np.vectorize(Fraction)(rng.integers(1, 9, (4, K))), {}
        for rule in ("left", "right"):
            R[rule] = np.vectorize(Fraction)(np.eye(K, dtype=int))
            for _ in range(3):
                R[rule] = R[rule] + copi.decorrelation_update(y @ R[rule].T, R[rule], rule) / 1000
        assert off(second_moment(y)).any()
        assert (R["left"] == R["right"]).all() == same
