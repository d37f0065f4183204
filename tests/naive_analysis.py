"""The analyses by hand from the paper: loops over single numbers, on nested lists, as in naive.py.

Linear algebra is by elimination, exact for Fractions; only eigenvectors and roots need floats.
"""

import itertools
import math

import naive


def second_moment(x):
    """C_ij = E[x_i x_j], not centred."""
    size = len(x[0])
    return naive.matrix(size, size, lambda i, j: naive.mean(row[i] * row[j] for row in x))


def cross_moment(z, x):
    """E[z_i x_j]."""
    return naive.sgd_update(x, z)


def product(A, B):
    return naive.matrix(len(A), len(B[0]), lambda i, j: sum(A[i][k] * B[k][j] for k in range(len(B))))


def transposed(A):
    return [list(column) for column in zip(*A, strict=True)]


# --- linear maps instead of layers (App. B) --------------------------------------------------------------------------


def diagonal_map(z, x):
    """W = Z Xᵀ D with D = diag(1/x_j x_jᵀ): w_ij = Σ_n z_ni x_nj / Σ_n x_nj²; 0 where an input is always 0."""

    def entry(i, j):
        power = sum(row[j] ** 2 for row in x)
        return sum(z[n][i] * x[n][j] for n in naive.samples(x)) / power if power else 0 * power

    return naive.matrix(len(z[0]), len(x[0]), entry)


def inverse_map(z, x):
    """W = Z Xᵀ (X Xᵀ)⁻¹ over the inputs that are not always 0; a column of 0 for those that are."""
    live = [j for j in range(len(x[0])) if any(row[j] for row in x)]
    inputs = [[row[j] for j in live] for row in x]
    small = product(cross_moment(z, inputs), naive._inverse(second_moment(inputs)))
    zero = 0 * x[0][0]
    return naive.matrix(len(z[0]), len(x[0]), lambda i, j: small[i][live.index(j)] if j in live else zero)


def pseudo_inverse_map(z, x):
    """W = Z X⁺, the paper's X having samples as columns: W = (X⁺ Z)ᵀ for rows."""
    return transposed(product(pseudo_inverse(x), z))


def pseudo_inverse(A):
    """A⁺ = Gᵀ (G Gᵀ)⁻¹ (Fᵀ F)⁻¹ Fᵀ, with A = F G, both of full rank: F the pivot columns, G the echelon form."""
    G, pivots = echelon_form(A)
    F = [[row[j] for j in pivots] for row in A]
    right = product(transposed(G), naive._inverse(product(G, transposed(G))))
    return product(right, product(naive._inverse(product(transposed(F), F)), transposed(F)))


def echelon_form(A):
    """The rows of the reduced echelon form that are not 0, and their pivots' columns; exact numbers only."""
    rows, pivots = [list(row) for row in A], []
    for column in range(len(A[0])):
        place = len(pivots)
        found = next((i for i in range(place, len(rows)) if rows[i][column]), None)
        if found is None:
            continue
        rows[place], rows[found] = rows[found], rows[place]
        rows[place] = [entry / rows[place][column] for entry in rows[place]]
        for other in range(len(rows)):
            if other != place:
                factor = rows[other][column]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
        pivots.append(column)
    return rows[: len(pivots)], pivots


def compressed(W, R, y0, removed, activation, linear_map, means=None):
    """The outputs y_L with `removed` hidden layers after the first replaced by one linear map of x_2."""
    x, a, y = naive.forward(W, R, y0, activation, means)
    if not removed:
        return y[-1]
    M, last = linear_map(a[removed + 1], x[1]), removed + 2  # layers 2 to `last` become M
    out = [[naive.F[activation](a_i) for a_i in row] for row in naive.apply(M, x[1])]
    above = None if means is None else means[last:]
    return naive.forward(W[last:], R[last:], out, activation, above)[2][-1] if last < len(W) else out


# --- receptive fields (Fig. 3B) --------------------------------------------------------------------------------------


def correlation(y, x):
    """E[y_i x_j] / √(E[y_i²] E[x_j²]), not centred; 0 where one of them is always 0."""

    def entry(i, j):
        powers = naive.mean(row[i] ** 2 for row in y) * naive.mean(row[j] ** 2 for row in x)
        return naive.mean(y[n][i] * x[n][j] for n in naive.samples(x)) / math.sqrt(powers) if powers else 0.0

    return naive.matrix(len(y[0]), len(x[0]), entry)


# --- whitening (Fig. 3A) ---------------------------------------------------------------------------------------------


def eigen(C):
    """Eigenvalues and eigenvectors (columns) of a symmetric matrix: Jacobi's rotations, pair after pair."""
    C, size = [list(row) for row in C], len(C)
    V = naive.matrix(size, size, lambda i, j: float(i == j))
    for _ in range(30):
        for p, q in itertools.combinations(range(size), 2):
            turn = math.atan2(2 * C[p][q], C[q][q] - C[p][p]) / 2
            c, s = math.cos(turn), math.sin(turn)
            for k in range(size):
                C[k][p], C[k][q] = c * C[k][p] - s * C[k][q], s * C[k][p] + c * C[k][q]
                V[k][p], V[k][q] = c * V[k][p] - s * V[k][q], s * V[k][p] + c * V[k][q]
            for k in range(size):
                C[p][k], C[q][k] = c * C[p][k] - s * C[q][k], s * C[p][k] + c * C[q][k]
    return [C[i][i] for i in range(size)], V


def zca(C, rank):
    """C^(−½) = Σ_k λ_k^(−½) v_k v_kᵀ over the `rank` largest eigenvalues."""
    values, V = eigen(C)
    kept = sorted(range(len(values)), key=lambda k: values[k])[len(values) - rank :]
    return naive.matrix(len(C), len(C), lambda i, j: sum(V[i][k] * V[j][k] / math.sqrt(values[k]) for k in kept))


def distance(R, y, rank):
    """√(min_s E‖s R y − Z y‖² / E‖Z y‖²), with Z the ZCA transform of y, over the samples themselves."""
    ours, white = naive.apply(R, y), naive.apply(zca(second_moment(y), rank), y)
    return math.sqrt(_residual(_flat(ours), _flat(white)) / math.fsum(w * w for w in _flat(white)))


def distance_of_units(R, y, rank):
    """The same with a scale s_i of its own for each unit i."""
    ours, white = naive.apply(R, y), naive.apply(zca(second_moment(y), rank), y)
    rest = sum(_residual([row[i] for row in ours], [row[i] for row in white]) for i in range(len(R)))
    return math.sqrt(rest / math.fsum(w * w for w in _flat(white)))


def _residual(u, v):
    """min_s Σ (s u − v)²."""
    power = math.fsum(a * a for a in u)
    s = math.fsum(a * b for a, b in zip(u, v, strict=True)) / power if power else 0.0
    return math.fsum((s * a - b) ** 2 for a, b in zip(u, v, strict=True))


def _flat(rows):
    return list(itertools.chain.from_iterable(rows))
