"""Equations in Unicode, as docstrings have them, become the TeX that a person would write."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "extensions"))
from unicode_to_tex import equation, split, to_tex


def squeezed(tex):
    return tex.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("E[z xᵀ] − W diag(E[x²])", r"E[z x^{\top}] - W \operatorname{diag}(E[x^{2}])"),
        ("δ_l = f′(a_l) ∘ (B_{l+1} δ_L)", r"\delta_{l} = f'(a_{l}) \circ (B_{l+1} \delta_{L})"),
        ("E[x xᵀ]⁻¹", r"E[x x^{\top}]^{-1}"),
        ("D_l² (t_l − y_l)", r"D_{l}^{2} (t_{l} - y_{l})"),
        ("γ^{−(L−l)}", r"\gamma^{-(L-l)}"),
        ("√(E‖y‖² / (2 a))", r"\sqrt{E\Vert y\Vert^{2} / (2 a)}"),
        ("m̂ / (√v̂ + ε)", r"\hat{m} / (\sqrt{\hat{v}} + \varepsilon)"),
        ("C_off, γ_top and w_ij", r"C_{\mathrm{off}}, \gamma_{\mathrm{top}} \text{ and } w_{ij}"),
        ("η λmax(C) ≤ 2/3", r"\eta \lambda_{\max}(C) \le 2/3"),
        ("y* − ½ C₀", r"y^{*} - \tfrac12 C_{0}"),
        ("−dℓ/da", r"-\mathrm{d}\ell /\mathrm{d}a"),
    ],
)
def test_to_tex(text, tex):
    assert squeezed(to_tex(text)) == squeezed(tex)


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("the forward weights: W ← W + η ΔW.", ["W ← W + η ΔW"]),
        ("At the kink f′(0) = 1: a ≥ 0 counts as positive.", ["f′(0) = 1", "a ≥ 0"]),
        ("it differs by W C_off exactly", ["W C_off"]),
        ("it never raises tr C ≥ λmax(C) either", ["tr C ≥ λmax(C)"]),
        ("“z_i x_j − w_ij x_j²”, it says", ["z_i x_j − w_ij x_j²"]),
        ("with ‖C_off‖/‖diag C‖ near 0", ["‖C_off‖/‖diag C‖"]),
        ("a perturbation δ of a layer, by a δ_l", ["δ", "δ_l"]),
        ("x = R y decorrelates", ["x = R y"]),
        ("A well-kept library – or a state—Eq. 4's last line, of 784-500×6-10, (…, N, K), .9861 ± .0028", []),
        ("Seeds 0, 1 and 2; 3 - 4; the value I had", []),
        ("lower by −.0057 [−.0069, −.0044], or −1 at least", []),
        ("where x = −1 it is −x", ["x = −1", "−x"]),
    ],
)
def test_what_of_a_sentence_is_mathematics(text, formulas):
    parts = list(split(text))
    assert "".join(part for _, part in parts) == text
    assert [part for is_formula, part in parts if is_formula] == formulas


def test_a_paragraph_that_is_an_equation_is_displayed_with_its_place():
    shown = equation("ΔW = E[z xᵀ] − W diag(E[x²])  (Eq. 3; for one sample Eq. 5)")
    assert shown.endswith(r"\qquad \text{(Eq. 3; for one sample Eq. 5)}")
    assert equation("With C_off = E[x xᵀ] − diag(E[x²]):") is None
    assert equation("Where x_l = 0 no weight can move a_l, and h_l has to stay.") is None
