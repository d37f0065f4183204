"""Credit methods and Inference Learning by hand, one sample at a time, in loops on nested lists.

As tests/naive.py, of which this is the second page: no line is shared with the package, and Fractions stay exact.
Every function takes lists of one array per layer; `a` and `y` are those of a forward pass, row by row.
"""

import math

from naive import F_PRIME, F

F_INVERSE = {
    "identity": lambda y: y,
    "leaky_relu": lambda y: y if y >= 0 else y * 10,
    "tanh": lambda y: math.log((1 + y) / (1 - y)) / 2,
    "sigmoid": lambda y: math.log(y / (1 - y)),
}


def times(A, v):
    return [sum(A[i][j] * v[j] for j in range(len(v))) for i in range(len(A))]


def transposed_times(A, v):
    return [sum(A[i][j] * v[i] for i in range(len(v))) for j in range(len(A[0]))]


def plus(u, v):
    return [u_i + v_i for u_i, v_i in zip(u, v, strict=True)]


def minus(u, v):
    return [u_i - v_i for u_i, v_i in zip(u, v, strict=True)]


def both(u, v):
    return [u_i * v_i for u_i, v_i in zip(u, v, strict=True)]


def each(function, v):
    return [function(v_i) for v_i in v]


def by_sample(one, *arrays):
    """Apply `one` to each sample's rows, and give back one array per layer."""
    samples = range(len(arrays[0][0]))
    results = [one(*([layer[n] for layer in array] for array in arrays)) for n in samples]
    return [[result[layer] for result in results] for layer in range(len(results[0]))]


def backpropagation_through_batch_means(W, R, a, delta_L, f):
    """δ_l = f′(a_l) (g − E[g]), g = Rᵀ Wᵀ δ_{l+1}, E over all samples."""
    deltas = [delta_L]
    for layer in reversed(range(len(a) - 1)):
        back = [transposed_times(R[layer + 1], transposed_times(W[layer + 1], row)) for row in deltas[0]]
        mean = [sum(column) / len(back) for column in zip(*back, strict=True)]
        deltas.insert(0, [both(each(F_PRIME[f], row), minus(g, mean)) for row, g in zip(a[layer], back, strict=True)])
    return deltas


def direct_feedback_alignment(B, a, delta_L, f):
    """§2.5: δ_l = f′(a_l) ∘ B_{l+1} δ_L."""

    def one(a, delta_L):
        hidden = [both(each(F_PRIME[f], a_l), times(B_l, delta_L[0])) for B_l, a_l in zip(B, a, strict=False)]
        return [*hidden, delta_L[0]]

    return by_sample(one, a, [delta_L])


def sign(number):
    return 1 if number > 0 else -1 if number < 0 else 0


def sign_direct_feedback_alignment(B, a, delta_L, f):
    """δ_l = f′(a_l) ∘ B_{l+1} sign(δ_L)."""

    def one(a, delta_L):
        sent = each(sign, delta_L[0])
        hidden = [both(each(F_PRIME[f], a_l), times(B_l, sent)) for B_l, a_l in zip(B, a, strict=False)]
        return [*hidden, delta_L[0]]

    return by_sample(one, a, [delta_L])


def direct_random_target_projection(B, a, delta_L, f, target):
    """δ_l = f′(a_l) ∘ B_{l+1} y*."""

    def one(a, delta_L, target):
        hidden = [both(each(F_PRIME[f], a_l), times(B_l, target[0])) for B_l, a_l in zip(B, a, strict=False)]
        return [*hidden, delta_L[0]]

    return by_sample(one, a, [delta_L], [target])


def sign_symmetric(W, B, a, delta_L, f):
    """δ_l[k] = f′(a_l[k]) Σ_m |B_{l+1}[k][m]| sign(W_{l+1}[m][k]) δ_{l+1}[m]; without B: 1 for |B|."""

    def one(a, delta_L):
        deltas = [delta_L[0]]
        for layer in reversed(range(len(a) - 1)):
            above, W_up = deltas[0], W[layer + 1]
            delta = []
            for k, a_k in enumerate(a[layer]):
                total = 0
                for m, delta_m in enumerate(above):
                    total += (1 if B is None else abs(B[layer][k][m])) * sign(W_up[m][k]) * delta_m
                delta.append(F_PRIME[f](a_k) * total)
            deltas.insert(0, delta)
        return deltas

    return by_sample(one, a, [delta_L])


def target_propagation_as_printed(B, a, delta_L, f):
    """§2.5: δ_l = f(B_{l+1} δ_{l+1}) − a_l."""

    def one(a, delta_L):
        deltas = [delta_L[0]]
        for layer in reversed(range(len(a) - 1)):
            deltas.insert(0, minus(each(F[f], times(B[layer], deltas[0])), a[layer]))
        return deltas

    return by_sample(one, a, [delta_L])


def target_propagation(B, a, delta_L, f):
    """z_L = a_L + δ_L, z_l = B_{l+1} f(z_{l+1}), δ_l = z_l − a_l."""

    def one(a, delta_L):
        z = [plus(a[-1], delta_L[0])]
        for layer in reversed(range(len(a) - 1)):
            z.insert(0, times(B[layer], each(F[f], z[0])))
        return [minus(z_l, a_l) for z_l, a_l in zip(z, a, strict=True)]

    return by_sample(one, a, [delta_L])


def difference_target_propagation(W, R, B, a, y, delta_L, f, rate):
    """t_{L−1} = y_{L−1} + r (W_L R_L)ᵀ δ_L, t_l = y_l − f(B y_{l+1}) + f(B t_{l+1}), δ_l = f′(a_l) (t_l − y_l)."""

    def one(a, y, delta_L):
        deltas, target = [delta_L[0]], None
        for layer in reversed(range(len(a) - 1)):
            if target is None:
                back = transposed_times(R[-1], transposed_times(W[-1], delta_L[0]))
                target = plus(y[layer], [rate * b for b in back])
            else:
                here, there = (each(F[f], times(B[layer], state)) for state in (y[layer + 1], target))
                target = plus(minus(y[layer], here), there)
            deltas.insert(0, both(each(F_PRIME[f], a[layer]), minus(target, y[layer])))
        return deltas

    return by_sample(one, a, y, [delta_L])


def learn_noisy_inverse(W, R, B, y, noise, f, eta):
    """B ← B + η E[(f′(B u) ∘ (ỹ − f(B u))) uᵀ], u = f(W R ỹ), ỹ = y + ξ: of all but the last."""
    learnt = []
    for layer, B_l in enumerate(B[:-1]):
        total = None
        for state, xi in zip(y[layer], noise[layer], strict=True):
            noisy = plus(state, xi)
            u = each(F[f], times(W[layer + 1], times(R[layer + 1], noisy)))
            found = times(B_l, u)
            error = both(each(F_PRIME[f], found), minus(noisy, each(F[f], found)))
            term = [[e * u_j for u_j in u] for e in error]
            total = term if total is None else [plus(*rows) for rows in zip(total, term, strict=True)]
        count = len(y[layer])
        learnt.append(
            [[b + eta * t / count for b, t in zip(*rows, strict=True)] for rows in zip(B_l, total, strict=True)]
        )
    return [*learnt, B[-1]]


def pre_activation_difference_target_propagation(B, a, delta_L, f):
    """z_L = a_L + δ_L, z_l = a_l + B_{l+1} f(z_{l+1}) − B_{l+1} f(a_{l+1}), δ_l = z_l − a_l."""

    def one(a, delta_L):
        z = [plus(a[-1], delta_L[0])]
        for layer in reversed(range(len(a) - 1)):
            above = times(B[layer], each(F[f], z[0]))
            z.insert(0, minus(plus(a[layer], above), times(B[layer], each(F[f], a[layer + 1]))))
        return [minus(z_l, a_l) for z_l, a_l in zip(z, a, strict=True)]

    return by_sample(one, a, [delta_L])


def learn_inverse(B, a, y, eta):
    """B_{l+1} ← B_{l+1} + η E[(a_l − B_{l+1} y_{l+1}) y_{l+1}ᵀ] / E‖y_{l+1}‖²."""
    learnt = []
    for layer, B_l in enumerate(B):
        inputs, targets = y[layer + 1], a[layer]
        count = len(inputs)
        power = sum(sum(y_i**2 for y_i in row) for row in inputs) / count
        errors = [minus(target, times(B_l, row)) for target, row in zip(targets, inputs, strict=True)]
        learnt.append(
            [
                [
                    B_l[i][j] + eta * sum(errors[n][i] * inputs[n][j] for n in range(count)) / count / power
                    for j in range(len(B_l[0]))
                ]
                for i in range(len(B_l))
            ]
        )
    return learnt


def gait_prop(B, a, y, delta_L, f, gamma):
    """t_{l−1} = B f⁻¹(y_l + γ D_l p_l), p_l = D_l (t_l − y_l), δ_l = p_l/γ^{L−l}; B f⁻¹(y_l) for y_{l−1} if wide."""

    def one(a, y, delta_L):
        pulls = [delta_L[0]]
        for layer in reversed(range(len(a) - 1)):
            slopes = each(F_PRIME[f], a[layer + 1])
            point = [y_i + gamma * s_i * p_i for y_i, s_i, p_i in zip(y[layer + 1], slopes, pulls[0], strict=True)]
            target, unmoved = (times(B[layer], each(F_INVERSE[f], one)) for one in (point, y[layer + 1]))
            square = len(B[layer]) == len(B[layer][0])
            pulls.insert(0, both(each(F_PRIME[f], a[layer]), minus(target, y[layer] if square else unmoved)))
        depth = len(pulls) - 1
        return [[p_i / gamma ** (depth - layer) for p_i in pull] for layer, pull in enumerate(pulls)]

    return by_sample(one, a, y, [delta_L])


def renormalized_gait_prop(B, a, y, delta_L, f, gamma):
    """δ = D ε; the target y + γ D² ε and y go through the inverse B f⁻¹; between them is γ ε of the layer below."""

    def one(a, y, delta_L):
        deltas = [delta_L[0]]
        for layer in reversed(range(len(a) - 1)):
            slopes = each(F_PRIME[f], a[layer + 1])
            target = [y_i + gamma * s_i * d_i for y_i, s_i, d_i in zip(y[layer + 1], slopes, deltas[0], strict=True)]
            upper, lower = (times(B[layer], each(F_INVERSE[f], point)) for point in (target, y[layer + 1]))
            epsilon = [shift / gamma for shift in minus(upper, lower)]
            deltas.insert(0, both(each(F_PRIME[f], a[layer]), epsilon))
        return deltas

    return by_sample(one, a, y, [delta_L])


def node_perturbation(W, R, a, noise, target, f, loss, sigma):
    """δ_l = −(ℓ(a + ξ) − ℓ(a)) ξ_l / σ² for the quadratic loss; the noise of every layer adds to its a."""

    def one(a, noise, target):
        z = plus(a[0], noise[0])
        for layer in range(1, len(a)):
            z = plus(times(W[layer], times(R[layer], each(F[f], z))), noise[layer])
        change = loss(each(F[f], z), target[0]) - loss(each(F[f], a[-1]), target[0])
        return [[-change * xi / sigma**2 for xi in layer] for layer in noise]

    return by_sample(one, a, noise, [target])


# --- Inference Learning, for one sample ------------------------------------------------------------------------------

PHI_PSI = {"weights-after-activation": lambda f: (f, "identity"), "activation-after-weights": lambda f: ("identity", f)}


def inputs_and_predictions(W, R, y0, h, phi, psi):
    """x_l = R_l φ(h_{l−1}) (φ not of the input), a_l = W_l x_l, p_l = ψ(a_l)."""
    x = [times(R[0], y0)] + [times(R[layer], each(F[phi], h[layer - 1])) for layer in range(1, len(W))]
    a = [times(W_l, x_l) for W_l, x_l in zip(W, x, strict=True)]
    return x, a, [each(F[psi], a_l) for a_l in a]


def il_energy(W, R, y0, h, f, convention):
    """½ Σ ‖h_l − p_l‖²."""
    _, _, p = inputs_and_predictions(W, R, y0, h, *PHI_PSI[convention](f))
    return sum(sum(e_i**2 for e_i in minus(h_l, p_l)) for h_l, p_l in zip(h, p, strict=True)) / 2


def il_states(W, R, y0, h, f, convention, steps, gamma):
    """h_l ← h_l − γ (e_l − φ′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ (ψ′(a_{l+1}) ∘ e_{l+1})) for the hidden layers, T times."""
    phi, psi = PHI_PSI[convention](f)
    for _ in range(steps):
        _, a, p = inputs_and_predictions(W, R, y0, h, phi, psi)
        e = [minus(h_l, p_l) for h_l, p_l in zip(h, p, strict=True)]
        new = []
        for layer in range(len(h) - 1):
            above = both(each(F_PRIME[psi], a[layer + 1]), e[layer + 1])
            down = transposed_times(R[layer + 1], transposed_times(W[layer + 1], above))
            gradient = minus(e[layer], both(each(F_PRIME[phi], h[layer]), down))
            new.append([h_i - gamma * g_i for h_i, g_i in zip(h[layer], gradient, strict=True)])
        h = [*new, h[-1]]
    return h


def prox_energy(W, R, y0, h, f, o, loss, target, alpha):
    """ℓ(o(h_L)) + Σ ‖h_l − W_l x_l‖² / (2α ‖x_l‖²)."""
    x, a, _ = inputs_and_predictions(W, R, y0, h, f, "identity")
    distance = 0
    for h_l, a_l, x_l in zip(h, a, x, strict=True):
        distance += sum(e_i**2 for e_i in minus(h_l, a_l)) / (2 * alpha * sum(x_i**2 for x_i in x_l))
    return loss(each(F[o], h[-1]), target) + distance


def product(A, B):
    return [[sum(A[i][k] * B[k][j] for k in range(len(B))) for j in range(len(B[0]))] for i in range(len(A))]


def largest_row_sum(G):
    """Of |G Gᵀ|, or of |Gᵀ G| where that is smaller."""
    rows = G if len(G) <= len(G[0]) else [list(column) for column in zip(*G, strict=True)]
    return max(sum(abs(sum(a * b for a, b in zip(u, v, strict=True))) for v in rows) for u in rows)


def prox_states(W, R, y0, h, f, descent, target, alpha, steps, gamma, top_down=False):
    """Gradient descent on F_α; a hidden layer at γ / (c_l + c_{l+1} s_{l+1}), the output at γ / (c_L + 2).

    Top-down: at twice these rates one layer alone, and then all anew for the next one below.
    """
    groups = [[layer] for layer in reversed(range(len(h)))] if top_down else [range(len(h))]
    for group in groups * steps:
        x, a, _ = inputs_and_predictions(W, R, y0, h, f, "identity")
        e = [minus(h_l, a_l) for h_l, a_l in zip(h, a, strict=True)]
        n = [sum(x_i**2 for x_i in x_l) for x_l in x]
        new = []
        for layer in range(len(h)):
            own = [e_i / (alpha * n[layer]) for e_i in e[layer]]
            if layer == len(h) - 1:
                down = both(each(F_PRIME[f], h[-1]), descent(each(F[f], h[-1]), target))
                rate = gamma / (1 / (alpha * n[layer]) + 2)
            else:
                n_up, e_up, x_up = n[layer + 1], e[layer + 1], x[layer + 1]
                size = sum(e_i**2 for e_i in e_up)
                pull = transposed_times(W[layer + 1], e_up)
                both_terms = [
                    p_j / (alpha * n_up) + size * x_j / (alpha * n_up**2) for p_j, x_j in zip(pull, x_up, strict=True)
                ]
                down = both(each(F_PRIME[f], h[layer]), transposed_times(R[layer + 1], both_terms))
                stiff = largest_row_sum(product(W[layer + 1], R[layer + 1]))
                rate = gamma / (1 / (alpha * n[layer]) + stiff / (alpha * n_up))
            gradient = minus(own, down)
            rate = 0 if layer not in group else 2 * rate if top_down else rate
            new.append([h_i - rate * g_i for h_i, g_i in zip(h[layer], gradient, strict=True)])
        h = new
    return h


# --- the forms of Inference Learning, and what its authors run --------------------------------------------------------


def predicted_state(W, R, b, below, f, layer, last, order, on_input, at_output, biases):
    """x, W x with a bias that is inside, and p of one layer (from 0), without R or b where they are None."""
    after = order == "weights-after-activation"
    x = each(F[f], below) if after and (layer > 0 or on_input) else below
    x = x if R is None else times(R, x)
    a = times(W, x)
    if biases == "inside":
        a = plus(a, b)
    bends = not after and not (last and at_output == "identity")
    p = each(F[f], a) if bends else a
    if biases == "outside":
        p = plus(p, b)
    slopes = each(F_PRIME[f], a) if bends else [a_i**0 for a_i in a]
    return x, a, p, slopes


def forms_of(W, R, b, y0, h, f, *form):
    """x, a, p and ψ′(a) of all layers."""
    below, found = [y0, *h[:-1]], []
    for layer in range(len(W)):
        R_l, b_l = (part if part is None else part[layer] for part in (R, b))
        found.append(predicted_state(W[layer], R_l, b_l, below[layer], f, layer, layer == len(W) - 1, *form))
    return [list(part) for part in zip(*found, strict=True)]


def energy_of_form(W, R, b, y0, h, f, form, precisions, decay):
    """½ Σ π ‖h − p‖² + ½ λ Σ ‖h‖² of the hidden layers."""
    _, _, p, _ = forms_of(W, R, b, y0, h, f, *form)
    total = 0
    for h_l, p_l, precision in zip(h, p, precisions, strict=True):
        total += precision * sum(e_i**2 for e_i in minus(h_l, p_l))
    return (total + decay * sum(sum(h_i**2 for h_i in h_l) for h_l in h[:-1])) / 2


def gradient_of_form(W, R, b, y0, h, f, form, precisions, decay, layer, held=None):
    """∂F/∂h of one hidden layer (from 0); predictions and slopes are those of `held`, if there is any."""
    there = h if held is None else held
    _, _, p, slopes = forms_of(W, R, b, y0, there, f, *form)
    own, above = minus(h[layer], p[layer]), minus(h[layer + 1], p[layer + 1])
    pull = transposed_times(W[layer + 1], [precisions[layer + 1] * u for u in both(slopes[layer + 1], above)])
    pull = pull if R is None else transposed_times(R[layer + 1], pull)
    if form[0] == "weights-after-activation":
        pull = both(each(F_PRIME[f], there[layer]), pull)
    return [precisions[layer] * e - q + decay * h_i for e, q, h_i in zip(own, pull, h[layer], strict=True)]


def infer_form(W, R, b, y0, h, f, form, precisions, decay, steps, gammas, schedule, fixed):
    """T steps over the hidden layers, of which each sees the moved ones but where all move at once."""
    held, layers = (h if fixed else None), range(len(h) - 1)
    order = {"all-at-once": layers, "bottom-up": layers, "top-down": layers[::-1]}[schedule]
    for _ in range(steps):
        before = h
        for layer in order:
            seen = before if schedule == "all-at-once" else h
            g = gradient_of_form(W, R, b, y0, seen, f, form, precisions, decay, layer, held)
            moved = [h_i - gammas[layer] * g_i for h_i, g_i in zip(seen[layer], g, strict=True)]
            h = [*h[:layer], moved, *h[layer + 1 :]]
    return h


def updates_of_form(W, R, b, y0, h, f, form, precisions):
    """ΔW and Δb of each layer, means over the samples; y0 and h are batches here."""
    dW = [[[0] * len(W_l[0]) for _ in W_l] for W_l in W]
    db = [[0] * len(W_l) for W_l in W]
    for n, row in enumerate(y0):
        at = [h_l[n] for h_l in h]
        x, _, p, slopes = forms_of(W, R, b, row, at, f, *form)
        for layer in range(len(W)):
            e = [precisions[layer] * e_i for e_i in minus(at[layer], p[layer])]
            inner = both(slopes[layer], e)
            for i, u in enumerate(inner):
                db[layer][i] += (u if form[3] == "inside" else e[i]) / len(y0)
                for j, x_j in enumerate(x[layer]):
                    dW[layer][i][j] += u * x_j / len(y0)
    return dW, db


def softmax(v):
    powers = [math.exp(v_i - max(v)) for v_i in v]
    return [power / sum(powers) for power in powers]


def mixed(share, target, prediction):
    return [share * t + (1 - share) * s for t, s in zip(target, softmax(prediction), strict=True)]


def alonso_states(W, R, y0, h, t, f, form, steps, gamma_top, gamma_bot, factor):
    """h_l += −γ_top e_l + γ_bot (…)ᵀ e_{l+1}, with e_L = c (t − softmax(p_L)); at the end also x, a and ψ′ ∘ e."""
    for step in range(steps + 1):
        x, a, p, slopes = forms_of(W, R, None, y0, h, f, *form)
        e = [minus(h_l, p_l) for h_l, p_l in zip(h[:-1], p, strict=False)]
        e.append([factor * (t_i - s_i) for t_i, s_i in zip(t, softmax(p[-1]), strict=True)])
        if step == steps:
            return h, x, a, [both(*pair) for pair in zip(slopes, e, strict=True)]
        new = []
        for layer in range(len(h) - 1):
            down = transposed_times(R[layer + 1], transposed_times(W[layer + 1], both(slopes[layer + 1], e[layer + 1])))
            if form[0] == "weights-after-activation":
                down = both(each(F_PRIME[f], h[layer]), down)
            new.append([
                h_i - gamma_top * e_i + gamma_bot * d_i for h_i, e_i, d_i in zip(h[layer], e[layer], down, strict=True)
            ])  # fmt: skip
        h = [*new, h[-1]]


AFTER_WEIGHTS = ("activation-after-weights", False, "identity", "none")
ON_INPUT = ("weights-after-activation", True, "same", "none")


def il_alonso(W, R, y0, a, y, target, f, share, steps, gamma_top, gamma_bot):
    """δ of each layer, and x, a and errors that the weights learn from; one array a layer, with rows for samples."""

    def one(a, y, y0, target):
        start, t = [*y[:-1], a[-1]], mixed(share, target[0], a[-1])
        h, x, ends, errors = alonso_states(W, R, y0[0], start, t, f, AFTER_WEIGHTS, steps, gamma_top, gamma_bot, 0.5)
        deltas = [both(each(F_PRIME[f], a_l), minus(h_l, y_l)) for a_l, h_l, y_l in zip(a, h, y[:-1], strict=False)]
        top = [(t_i - s_i) / 2 for t_i, s_i in zip(t, softmax(a[-1]), strict=True)]
        return [*deltas, top, *x, *ends, *errors]

    return in_four(by_sample(one, a, y, [y0], [target]), len(W))


def il_prox_alonso(W, R, y0, target, f, alpha, steps, gamma_top, gamma_bot):
    """As `il_alonso`; ν is a mean over all samples, ahead of the loop over them."""

    def forward(row):
        h = []
        for layer in range(len(W)):
            below = h[-1] if h else row
            x, _, p, _ = predicted_state(W[layer], R[layer], None, below, f, layer, layer == len(W) - 1, *ON_INPUT)
            h.append(p)
        return h, x

    nu = sum(sum(x_i**2 for x_i in forward(row)[1]) for row in y0) / len(y0)
    share = nu * alpha / (1 + nu * alpha)

    def one(y0, target):
        start, _ = forward(y0[0])
        t = mixed(share, target[0], start[-1])
        h, x, ends, errors = alonso_states(W, R, y0[0], start, t, f, ON_INPUT, steps, gamma_top, gamma_bot, 1)
        deltas = [minus(h_l, s_l) for h_l, s_l in zip(h[:-1], start, strict=False)]
        return [*deltas, minus(t, softmax(start[-1])), *x, *ends, *errors]

    return in_four(by_sample(one, [y0], [target]), len(W))


def in_four(rows, layers):
    return [rows[start : start + layers] for start in range(0, 4 * layers, layers)]


def batch_nlms(x, delta, epsilon):
    """E[δ xᵀ] / (E‖x‖² + 1 + ε)."""
    count = len(x)
    power = sum(sum(x_i**2 for x_i in row) for row in x) / count
    return [
        [
            sum(d[i] * row[j] for d, row in zip(delta, x, strict=True)) / count / (power + 1 + epsilon)
            for j in range(len(x[0]))
        ]
        for i in range(len(delta[0]))
    ]
