// Constrained Parameter Inference (COPI), Algorithm 1 as printed: backpropagation, ℓ = ‖y_L − y*‖², leaky ReLU with
// slope 0.1, and the lateral rule ΔR = −R C_off.
//
// Rows are samples: the paper's x = R y is x = y Rᵀ here. E is the mean over samples, not centred.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "matrix.hpp"

namespace copi {

template <class T>
using Layers = std::vector<Matrix<T>>;  // one matrix a layer, the lowest first

// --- means over samples ---

// E[u vᵀ], from samples of u and v.
//
// The division comes first, so that a long sum does not overflow before it becomes a mean.
template <class T>
Matrix<T> mean_outer(const Matrix<T>& u, const Matrix<T>& v) {
    return transpose(u) * (v / static_cast<T>(v.rows()));
}

// diag(E[x²])
template <class T>
Diagonal<T> diag_mean_square(const Matrix<T>& x) {
    Diagonal<T> out{std::vector<T>(x.columns())};
    for (std::size_t n = 0; n < x.rows(); ++n)
        for (std::size_t j = 0; j < x.columns(); ++j) out.entries[j] += x(n, j) * (x(n, j) / static_cast<T>(x.rows()));
    return out;
}

// --- learning rules: what is added to the weights, times a learning rate ---

// ΔW = E[z xᵀ] − W diag(E[x²])  (Eq. 3), with target states z = a + δ
template <class T>
Matrix<T> copi_update(const Matrix<T>& x, const Matrix<T>& z, const Matrix<T>& W) {
    check_shape("z", z, x.rows(), z.columns());
    check_shape("W", W, z.columns(), x.columns());
    return mean_outer(z, x) - W * diag_mean_square(x);
}

// ΔW = E[δ xᵀ]  (§2.7)
template <class T>
Matrix<T> sgd_update(const Matrix<T>& x, const Matrix<T>& delta) {
    check_shape("delta", delta, x.rows(), delta.columns());
    return mean_outer(delta, x);
}

// Eq. 4 calls the first two equal. They differ as soon as R and C_off no longer commute.
enum class LateralRule { left, right, symmetric };

// ΔR from R and C_off = E[x xᵀ] − diag(E[x²])  (Eq. 4, 6): −C_off R, −R C_off, or −½(C_off R + (C_off R)ᵀ)
//
// C_off R is E[x (Rᵀx)ᵀ] − diag(E[x²]) R: multiplying x by R costs N K², and C_off by R would cost K³.
template <class T>
Matrix<T> decorrelation_update(const Matrix<T>& x, const Matrix<T>& R, LateralRule rule = LateralRule::right) {
    check_shape("R", R, x.columns(), x.columns());
    if (rule == LateralRule::right) return -(mean_outer(x * transpose(R), x) - R * diag_mean_square(x));
    const Matrix<T> left = -(mean_outer(x, x * R) - diag_mean_square(x) * R);
    return rule == LateralRule::left ? left : (left + transpose(left)) / T(2);
}

// --- the network ---

template <class T>
struct Network {
    Layers<T> W;  // forward weights, (M, K)
    Layers<T> R;  // lateral weights, (K, K)
};

template <class T>
struct Trace {
    Layers<T> x, a, y;  // decorrelated inputs (N, K), pre-activations (N, M), outputs (N, M)
};

template <class T>
Matrix<T> leaky_relu(const Matrix<T>& a) {
    return mapped(a, [](T at) { return at < 0 ? at / T(10) : at; });
}

template <class T>
Matrix<T> leaky_relu_derivative(const Matrix<T>& a) {  // f′(0) = 1
    return mapped(a, [](T at) { return at < 0 ? T(1) / T(10) : T(1); });
}

inline std::string of_layer(const std::string& name, std::size_t l) {
    return name + " of layer " + std::to_string(l + 1);
}

template <class T>
void check_network(const Network<T>& network) {
    const auto& [W, R] = network;
    if (W.empty() || R.size() != W.size())
        throw std::invalid_argument("R has " + std::to_string(R.size()) + " layers and W " + std::to_string(W.size()) +
                                    ": needs equally many, at least one");
    for (std::size_t l = 0; l < W.size(); ++l) {
        if (l > 0) check_shape(of_layer("W", l), W[l], W[l].rows(), W[l - 1].rows());
        check_shape(of_layer("R", l), R[l], W[l].columns(), W[l].columns());
    }
}

// x_l = R_l y_{l−1}, a_l = W_l x_l, y_l = f(a_l)  (Algorithm 1, lines 4 to 8)
template <class T>
Trace<T> forward(const Network<T>& network, const Matrix<T>& y0) {
    check_network(network);
    check_shape("y0", y0, y0.rows(), network.W[0].columns());
    Trace<T> trace;
    for (std::size_t l = 0; l < network.W.size(); ++l) {
        trace.x.push_back((l == 0 ? y0 : trace.y.back()) * transpose(network.R[l]));
        trace.a.push_back(trace.x.back() * transpose(network.W[l]));
        trace.y.push_back(leaky_relu(trace.a.back()));
    }
    return trace;
}

template <class T>
void check_trace(const Network<T>& network, const Trace<T>& trace, std::size_t samples) {
    const auto& [x, a, y] = trace;
    const std::size_t layers = network.W.size();
    if (x.size() != layers || a.size() != layers || y.size() != layers)
        throw std::invalid_argument("x, a and y need one matrix per layer, " + std::to_string(layers));
    for (std::size_t l = 0; l < layers; ++l) {
        check_shape(of_layer("x", l), x[l], samples, network.W[l].columns());
        check_shape(of_layer("a", l), a[l], samples, network.W[l].rows());
        check_shape(of_layer("y", l), y[l], samples, network.W[l].rows());
    }
}

// δ_L = 2 f′(a_L) ∘ (y* − y_L), δ_l = f′(a_l) ∘ (R_{l+1}ᵀ W_{l+1}ᵀ δ_{l+1})  (Algorithm 1, lines 10 to 12)
template <class T>
Layers<T> perturbations(const Network<T>& network, const Trace<T>& trace, const Matrix<T>& target) {
    check_network(network);
    check_trace(network, trace, target.rows());
    const auto& [W, R] = network;
    const auto& [x, a, y] = trace;
    check_shape("target", target, y.back().rows(), y.back().columns());
    const std::size_t last = W.size() - 1;
    Layers<T> delta(W.size());
    delta[last] = T(2) * elementwise(leaky_relu_derivative(a[last]), target - y[last]);
    for (std::size_t l = last; l-- > 0;)
        delta[l] = elementwise(leaky_relu_derivative(a[l]), delta[l + 1] * W[l + 1] * R[l + 1]);
    return delta;
}

// W + η_W ΔW and R + η_R ΔR of all layers  (Algorithm 1, lines 3 to 16)
template <class T>
Network<T> step(const Network<T>& old, const Matrix<T>& y0, const Matrix<T>& target, T eta_w, T eta_r,
                LateralRule rule = LateralRule::right) {
    const Trace<T> trace = forward(old, y0);
    const Layers<T> delta = perturbations(old, trace, target);
    // Into a copy: Algorithm 1 updates W_l and R_l in its loop, and δ below has to go through the old ones.
    Network<T> updated = old;
    for (std::size_t l = 0; l < old.W.size(); ++l) {
        const auto &x = trace.x[l], &a = trace.a[l];
        updated.W[l] = old.W[l] + eta_w * copi_update(x, a + delta[l], old.W[l]);
        updated.R[l] = old.R[l] + eta_r * decorrelation_update(x, old.R[l], rule);
    }
    return updated;
}

}  // namespace copi
