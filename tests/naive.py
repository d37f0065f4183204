"""A second implementation, by hand from the paper: loops over single weights, on nested lists of Python numbers.

It shares no line with the package. Numbers may be floats or Fractions; with Fractions it is exact. Rows are
samples, as in the package, so the paper's vectors are rows here: x[n][j] is input j of sample n.
"""

import math
from fractions import Fraction


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def matrix(rows, columns, entry):
    return [[entry(i, j) for j in range(columns)] for i in range(rows)]


def samples(x):
    return range(len(x))


# --- forward weights -------------------------------------------------------------------------------------------


def copi_update(x, z, W):
    """App. C: Δw_ij = z_i x_j − w_ij x_j², averaged over the samples (Eq. 3)."""
    return matrix(
        len(W),
        len(W[0]),
        lambda i, j: mean(z[n][i] * x[n][j] - W[i][j] * x[n][j] ** 2 for n in samples(x)),
    )


def sgd_update(x, delta):
    """§2.7: −dℓ/da_i x_j, averaged."""
    return matrix(len(delta[0]), len(x[0]), lambda i, j: mean(delta[n][i] * x[n][j] for n in samples(x)))


def scaled_copi_update(x, z, W, epsilon):
    """Eq. 3, every column in units of E[x_j²] + ε; 0 where that is 0."""

    def entry(i, j):
        scale = mean(x[n][j] ** 2 for n in samples(x)) + epsilon
        return copi_update(x, z, W)[i][j] / scale if scale else 0 * scale

    return matrix(len(W), len(W[0]), entry)


def nlms_update(x, delta):
    """δ_i x_j / Σ_k x_k² of every sample, averaged; a sample of zeros counts as 0."""

    def one(n, i, j):
        length = sum(x_k**2 for x_k in x[n])
        return delta[n][i] * x[n][j] / length if length else 0 * length

    return matrix(len(delta[0]), len(x[0]), lambda i, j: mean(one(n, i, j) for n in samples(x)))


def oja_update(x, y, M):
    """App. C: Δm_ij = y_i x_j − m_ij y_i², averaged."""
    return matrix(
        len(M),
        len(M[0]),
        lambda i, j: mean(y[n][i] * x[n][j] - M[i][j] * y[n][i] ** 2 for n in samples(x)),
    )


def fixed_point(x, z):
    """App. B: w_ij = E[z_i x_j] / E[x_j²]; 0 where the input is always 0."""

    def entry(i, j):
        variance = mean(x[n][j] ** 2 for n in samples(x))
        return mean(z[n][i] * x[n][j] for n in samples(x)) / variance if variance else 0 * variance

    return matrix(len(z[0]), len(x[0]), entry)


def full_update(x, z, W):
    """Eq. 2, with the inverse by Gauss and Jordan: exact for Fractions."""
    C = matrix(len(x[0]), len(x[0]), lambda i, j: mean(x[n][i] * x[n][j] for n in samples(x)))
    inverse = _inverse(C)
    zx = sgd_update(x, z)
    return matrix(
        len(W),
        len(W[0]),
        lambda i, j: sum(zx[i][k] * inverse[k][j] for k in range(len(C))) - W[i][j],
    )


def _inverse(C):
    size = len(C)
    rows = [[*C[i], *(Fraction(int(i == j)) for j in range(size))] for i in range(size)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda i: abs(rows[i][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [entry / rows[column][column] for entry in rows[column]]
        for other in range(size):
            if other != column:
                factor = rows[other][column]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[column], strict=True)]
    return [row[size:] for row in rows]


# --- lateral weights -------------------------------------------------------------------------------------------


def off_diagonal(x):
    """C_off = E[x xᵀ] − diag(E[x²])."""
    size = len(x[0])
    return matrix(size, size, lambda i, j: mean(x[n][i] * x[n][j] for n in samples(x)) if i != j else 0 * x[0][0])


def decorrelation_update(x, R, rule):
    """Eq. 4, its first line (left) or its last (right), or the mean of the first and its transpose; or a whitening."""
    C_off, size = off_diagonal(x), range(len(R))

    def left(i, j):
        return -sum(C_off[i][k] * R[k][j] for k in size)

    def right(i, j):
        return -sum(R[i][k] * C_off[k][j] for k in size)

    def symmetric(i, j):
        return (left(i, j) + left(j, i)) / 2

    if rule == "kept-diagonal":
        return kept_diagonal_update(x, R, Fraction(1, 10))
    if rule.startswith("whitening"):
        kappa = Fraction(1, 2) if rule == "whitening-rows" else Fraction(1, 1000)
        return WHITENING[rule](x, R, kappa)
    return matrix(len(R), len(R), {"left": left, "right": right, "symmetric": symmetric}[rule])


def from_unit_power(x, i):
    """v_i = E[x_i²] − 1."""
    return mean(x[n][i] ** 2 for n in samples(x)) - 1


def whitening_update(x, R, kappa):
    """Dalm et al. 2024: −(1 − κ) Σ_k C_ik r_kj, k ≠ i, − κ r_ij v_j."""
    C_off, size = off_diagonal(x), range(len(R))
    return matrix(len(R), len(R), lambda i, j: -(1 - kappa) * sum(C_off[i][k] * R[k][j] for k in size)
                  - kappa * R[i][j] * from_unit_power(x, j))  # fmt: skip


def whitening_loss(x, kappa):
    """What Dalm et al. log: ((1 − κ) Σ_{i≠k} C_ik² + κ Σ_i v_i²)/K²."""
    C_off, size = off_diagonal(x), range(len(x[0]))
    pairs = sum(C_off[i][k] ** 2 for i in size for k in size)
    return [[((1 - kappa) * pairs + kappa * sum(from_unit_power(x, i) ** 2 for i in size)) / len(size) ** 2]]


def normalized_whitening_update(x, R, kappa):
    """−(1 − κ)/(K − 1) Σ_k C_ik r_kj, k ≠ i, − 2κ r_ij v_j."""
    C_off, size = off_diagonal(x), range(len(R))
    pairs = len(R) - 1
    return matrix(len(R), len(R), lambda i, j: -(1 - kappa) * sum(C_off[i][k] * R[k][j] for k in size) / pairs
                  - 2 * kappa * R[i][j] * from_unit_power(x, j))  # fmt: skip


def triangular_whitening_update(x, R, kappa):
    """−(1 − κ) √i Σ_k C_ik r_kj, k < i, − κ r_ij v_j, i from 0."""
    C_off = off_diagonal(x)

    def below(i, j):
        return math.sqrt(i) * sum(C_off[i][k] * R[k][j] for k in range(i))

    return matrix(len(R), len(R), lambda i, j: -(1 - kappa) * below(i, j) - kappa * R[i][j] * from_unit_power(x, j))


def row_whitening_update(x, R, kappa):
    """−Σ_k [(1 − κ) C_ik + κ (E[x_i²] − 1) 1(i = k)] r_kj, with C_ik for i ≠ k only."""

    def entry(i, k):
        if i == k:
            return kappa * from_unit_power(x, i)
        return (1 - kappa) * mean(x[n][i] * x[n][k] for n in samples(x))

    return matrix(len(R), len(R), lambda i, j: -sum(entry(i, k) * R[k][j] for k in range(len(R))))


def kept_diagonal_update(x, R, share):
    """Ahmad 2024: −Σ_k r_ik E[x_k x_j] over the first ⌊N s⌋ + 1 samples."""
    used = x[: int(len(x) * share) + 1]
    return matrix(len(R), len(R), lambda i, j: -sum(
        R[i][k] * mean(used[n][k] * used[n][j] for n in samples(used)) for k in range(len(R))))  # fmt: skip


WHITENING = {
    "whitening": whitening_update,
    "whitening-normalized": normalized_whitening_update,
    "whitening-triangular": triangular_whitening_update,
    "whitening-rows": row_whitening_update,
}


def safe_eta_r(x):
    """2 / (3 Σ_j E[x_j²]); 0 where that sum is 0."""
    trace = power(x)
    return 2 / (3 * trace) if trace else 0 * trace


def preserving_gain(y, R):
    """√(Σ_j E[y_j²] / Σ_i E[(R y)_i²]), as a 1×1 matrix; 1 where R y is 0."""
    after = power(apply(R, y))
    return [[math.sqrt(power(y) / after) if after else 1.0]]


def power(x):
    """E‖x‖²."""
    return mean(sum(x_j**2 for x_j in row) for row in x)


# --- activations and losses --------------------------------------------------------------------------------------

F = {
    "identity": lambda a: a,
    "relu": lambda a: a if a >= 0 else 0 * a,
    "leaky_relu": lambda a: a if a >= 0 else a / 10,
    "tanh": lambda a: math.tanh(a),
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
}
F_PRIME = {
    "identity": lambda a: a * 0 + 1,
    "relu": lambda a: a * 0 + (1 if a >= 0 else 0),
    "leaky_relu": lambda a: a * 0 + 1 if a >= 0 else (a * 0 + 1) / 10,
    "tanh": lambda a: 1 - math.tanh(a) ** 2,
    "sigmoid": lambda a: F["sigmoid"](a) * (1 - F["sigmoid"](a)),
}


def loss(name, y, target):
    """ℓ of one sample."""
    if name == "softmax_cross_entropy":
        total = sum(math.exp(y_i) for y_i in y)
        return -sum(t_i * math.log(math.exp(y_i) / total) for t_i, y_i in zip(target, y, strict=True))
    squares = sum((y_i - t_i) ** 2 for y_i, t_i in zip(y, target, strict=True))
    return squares if name == "quadratic" else squares / 2


def descent(name, y, target):
    """−∂ℓ/∂y_i of one sample."""
    if name == "softmax_cross_entropy":
        total = sum(math.exp(y_i) for y_i in y)
        return [t_i - sum(target) * math.exp(y_i) / total for y_i, t_i in zip(y, target, strict=True)]
    factor = 2 if name == "quadratic" else 1
    return [factor * (t_i - y_i) for y_i, t_i in zip(y, target, strict=True)]


def output_perturbation(loss_name, prediction, a, target, activation):
    """δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L."""
    return [
        [
            F_PRIME[activation](a_i) * d_i
            for a_i, d_i in zip(a[n], descent(loss_name, prediction[n], target[n]), strict=True)
        ]
        for n in samples(a)
    ]


# --- Algorithm 1 -------------------------------------------------------------------------------------------------


def apply(A, y):
    """A y for every sample."""
    return [[sum(A[i][j] * row[j] for j in range(len(row))) for i in range(len(A))] for row in y]


def shifted(y, mu):
    """y − μ for every sample."""
    return [[y_j - mu_j for y_j, mu_j in zip(row, mu, strict=True)] for row in y]


def forward(W, R, y0, activation, means=None):
    """Lines 4 to 8; with `means`, one a layer, each is first taken from that layer's input."""
    xs, as_, ys, y = [], [], [], y0
    for layer, (W_l, R_l) in enumerate(zip(W, R, strict=True)):
        x = apply(R_l, y if means is None else shifted(y, means[layer]))
        a = apply(W_l, x)
        y = [[F[activation](a_i) for a_i in row] for row in a]
        xs.append(x), as_.append(a), ys.append(y)
    return xs, as_, ys


def backpropagation(W, R, a, delta_L, activation):
    """Line 11: δ_l,k = f′(a_l,k) Σ_i Σ_j δ_{l+1},i W_{l+1},ij R_{l+1},jk."""
    deltas = [delta_L]
    for W_l, R_l, a_l in zip(W[:0:-1], R[:0:-1], a[-2::-1], strict=True):
        above = deltas[0]
        deltas.insert(
            0,
            [
                [
                    F_PRIME[activation](a_l[n][k])
                    * sum(above[n][i] * W_l[i][j] * R_l[j][k] for i in range(len(W_l)) for j in range(len(R_l)))
                    for k in range(len(a_l[0]))
                ]
                for n in samples(a_l)
            ],
        )
    return deltas


def feedback_alignment(B, a, delta_L, activation):
    """§2.5: δ_l,k = f′(a_l,k) Σ_i B_{l+1},ki δ_{l+1},i."""
    deltas = [delta_L]
    for B_l, a_l in zip(B[::-1], a[-2::-1], strict=True):
        above = deltas[0]
        deltas.insert(
            0,
            [
                [
                    F_PRIME[activation](a_l[n][k]) * sum(B_l[k][i] * above[n][i] for i in range(len(above[0])))
                    for k in range(len(a_l[0]))
                ]
                for n in samples(a_l)
            ],
        )
    return deltas


def step(
    W,
    R,
    y0,
    target,
    eta_w,
    eta_r,
    activation="leaky_relu",
    lateral_rule="right",
    loss_name="quadratic",
    output="activation",
    means=None,
):
    """Lines 3 to 16, with backpropagation; `output` says what counts as the prediction."""
    x, a, y = forward(W, R, y0, activation, means)
    prediction = y[-1] if output == "activation" else a[-1]
    delta_L = output_perturbation(loss_name, prediction, a[-1], target, activation)
    deltas = backpropagation(W, R, a, delta_L, activation)
    new_W, new_R = [], []
    for W_l, R_l, x_l, a_l, delta_l in zip(W, R, x, a, deltas, strict=True):
        z_l = [[a_i + d_i for a_i, d_i in zip(*rows, strict=True)] for rows in zip(a_l, delta_l, strict=True)]
        new_W.append(_moved(W_l, eta_w, copi_update(x_l, z_l, W_l)))
        new_R.append(_moved(R_l, eta_r, decorrelation_update(x_l, R_l, lateral_rule)))
    return new_W, new_R


def _moved(A, eta, update):
    return matrix(len(A), len(A[0]), lambda i, j: A[i][j] + eta * update[i][j])


def running_mean(mu, y, rate):
    """(1 − rate) μ_j + rate E[y_j]."""
    return [(1 - rate) * mu[j] + rate * mean(row[j] for row in y) for j in range(len(mu))]


# --- optimizers, for one weight over time --------------------------------------------------------------------------


def momentum(updates, beta):
    """The directions d_1, d_2, …: d_t = Σ_s β^(t−s) Δ_s."""
    return [sum(beta ** (t - s) * updates[s] for s in range(t + 1)) for t in range(len(updates))]


def adam(updates, beta1, beta2, epsilon, bias_power=True):
    """The directions of Adam; the running means written out as weighted sums."""
    directions = []
    for t in range(1, len(updates) + 1):
        m = sum((1 - beta1) * beta1 ** (t - s) * updates[s - 1] for s in range(1, t + 1))
        v = sum((1 - beta2) * beta2 ** (t - s) * updates[s - 1] ** 2 for s in range(1, t + 1))
        power = t if bias_power else 1
        m, v = m / (1 - beta1**power), v / (1 - beta2**power)
        directions.append(m / (math.sqrt(v) + epsilon))
    return directions
