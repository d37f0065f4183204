"""What of a text is mathematics written in Unicode, `E[z xᵀ] − W diag(E[x²])`, and the same as TeX."""

import re
import unicodedata
from collections.abc import Iterator

# --- from Unicode to TeX --------------------------------------------------------------------------------------------

GREEK = {
    letter: "\\" + unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")
    for letter in "αβγδεζηθικλμνξπρστφχψω"
} | {"Δ": r"\Delta", "Σ": r"\sum", "Π": r"\prod", "Θ": r"\Theta", "Φ": r"\Phi", "ε": r"\varepsilon", "φ": r"\varphi"}
SIGNS = {
    "−": "-", "·": r"\cdot", "×": r"\times", "∘": r"\circ", "←": r"\leftarrow", "→": r"\to", "≤": r"\le", "≥": r"\ge",
    "≈": r"\approx", "≠": r"\ne", "∝": r"\propto", "±": r"\pm", "∞": r"\infty", "∂": r"\partial", "∇": r"\nabla",
    "‖": r"\Vert", "′": "'", "″": "''", "ℓ": r"\ell", "½": r"\tfrac12", "¼": r"\tfrac14", "⌊": r"\lfloor",
    "⌋": r"\rfloor", "…": r"\dots", "~": r"\sim", "∈": r"\in", "⊤": r"\top", "%": r"\%", "&": r"\&", "#": r"\#",
}  # fmt: skip
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵗⁿᵏˡ", "0123456789+-tnkl", strict=True)) | {"ᵀ": r"\top "}
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉ₗ", "0123456789l", strict=True))
ACCENTS = {"\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar", "\u0307": r"\dot"}
OPERATORS = {
    "abs", "argmin", "atan2", "cond", "det", "diag", "exp", "log", "max", "min", "sign", "softmax", "tr", "tril",
}  # fmt: skip
PIECE = re.compile(
    rf"(?P<root>√\()|(?P<short_root>√)|(?P<raised>[{''.join(RAISED)}]+)|(?P<lowered>[{''.join(LOWERED)}]+)"
    r"|(?P<half>\^½)|(?P<star>(?<=[A-Za-z])\*)|(?P<below>_(?:\{[^{}]*\}|[A-Za-z0-9]+))|(?P<above>\^\{[^{}]*\}|\^\w)|(?P<lambda>λmax|λmin)|(?P<differential>d(?=ℓ))"
    r"|(?P<word>[A-Za-z]{2,}\d?)|(?P<gap>  +)|(?P<one>.)"
)


def to_tex(text: str) -> str:
    """Return a formula as TeX: E[z xᵀ] is ``E[z x^{\\top}]``, y_{l−1} ``y_{l-1}``, λmax ``\\lambda_{\\max}``."""
    text = unicodedata.normalize("NFD", text)
    made: list[str] = []
    position = 0
    while position < len(text):
        piece = PIECE.match(text, position)
        assert piece is not None
        kind, found, position = str(piece.lastgroup), piece[0], piece.end()
        if kind == "root":
            end = closing(text, position)
            made.append(rf"\sqrt{{{to_tex(text[position:end])}}}")
            position = end + 1
        elif kind == "short_root":
            end = position + 1
            while end < len(text) and text[end] in ACCENTS:
                end += 1
            made.append(rf"\sqrt{{{to_tex(text[position:end])}}}")
            position = end
        elif kind == "one" and position < len(text) and text[position] in ACCENTS:
            made.append(rf"{ACCENTS[text[position]]}{{{symbol(found)}}}")
            position += 1
        else:
            made.append(MAKE[kind](found))
    return re.sub(r"  +", " ", "".join(made)).strip()


def closing(text: str, start: int) -> int:
    """Return where the parenthesis that is open at `start` is closed."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return len(text)


def symbol(sign: str) -> str:
    """Return a single sign as TeX."""
    made = GREEK.get(sign) or SIGNS.get(sign) or sign
    return f"{made} " if made.startswith("\\") else made


def word(text: str) -> str:
    """Return what is written in letters: an operator, a differential, a product of single letters, or text."""
    if text in OPERATORS:
        return rf"\operatorname{{{text}}}"
    if re.fullmatch(r"d[a-zA-Z]", text):
        return rf"\mathrm{{d}}{text[1]}"
    return text if len(text) == 2 and text.isupper() else rf"\text{{ {text} }}"


def below(text: str) -> str:
    """Return a subscript; what is a word, as in γ_top and C_off, stands upright, indices such as ij do not."""
    inner = text[1:].strip("{}")
    if not inner.isalpha():
        return f"_{{{to_tex(inner)}}}"
    return rf"_{{\mathrm{{{inner}}}}}" if len(inner) > 2 else f"_{{{inner}}}"


MAKE = {
    "raised": lambda found: "^{" + "".join(RAISED[sign] for sign in found) + "}",
    "lowered": lambda found: "_{" + "".join(LOWERED[sign] for sign in found) + "}",
    "half": lambda found: "^{1/2}",
    "star": lambda found: "^{*}",
    "below": below,
    "above": lambda found: f"^{{{to_tex(found[1:].strip('{}'))}}}",
    "lambda": lambda found: rf"\lambda_{{\{found[1:]}}}",
    "differential": lambda found: r"\mathrm{d}",
    "word": word,
    "gap": lambda found: r"\qquad ",
    "one": symbol,
}

# --- what of a text is mathematics ----------------------------------------------------------------------------------

SOURCE = re.compile(r"\s+\((?:§|Eq\.|App\.|[A-Z][a-z]+ (?:et al\. )?\d{4})[^()]*(?:\([^()]*\)[^()]*)*\)$")
SURE = re.compile(
    r"[α-ωΔΣᵀ⁻¹²³⁺₀-₉∘‖∂∇′½√∞←≤≥≈∝ℓ−]|[A-Za-z][\u0302\u0303]|(?<![A-Za-z])[A-Za-z]_(?:\{|(?:[A-Za-z0-9]{1,2}|off|top|bot|copi|sgd)\b)"
)
SIGNED = re.compile(r"−[\d.]+")
BETWEEN = re.compile(r"[-+=<>/·×∘←→≤≥≈≠∝~−±]+")
OPERATOR = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(sorted(OPERATORS))})(?![A-Za-z])")
NEUTRAL = re.compile(r"(?:[A-Za-z](?![A-Za-z])|[-\d.,()\[\]{}|*_^+=<>/·×∘←→≤≥≈≠∝~−±])+")
NO_LETTER = {"a", "A", "I"}  # they may be words, but beside an operator


def sure(token: str) -> bool:
    """Say whether a token is mathematics wherever it stands; a word, with a hyphen or a dash in it or not, is none.

    A number with a sign is none either: in a table it stands beside numbers without one.
    """
    if SIGNED.fullmatch(token):
        return False
    plain = OPERATOR.sub("", unicodedata.normalize("NFD", token))
    return bool(SURE.search(plain)) and not re.search(r"[A-Za-z]{4,}", re.sub(r"_\{?\w+", "", plain))


def neutral(token: str) -> bool:
    """Say whether a token may stand in a formula: single letters, numbers, brackets, and names such as tr."""
    return token in OPERATORS or bool(NEUTRAL.fullmatch(OPERATOR.sub("", token)))


def balanced(text: str) -> bool:
    """Say whether each bracket in a text is closed."""
    open_ones: list[str] = []
    for sign in text:
        if sign in "([{":
            open_ones.append(sign)
        elif sign in ")]}" and (not open_ones or "([{".index(open_ones.pop()) != ")]}".index(sign)):
            return False
    return not open_ones and text.count("‖") % 2 == 0


def split(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text, each with whether it is mathematics."""
    parts = re.split(r"(\s+|[“”])", text)
    words, gaps = parts[::2], [*parts[1::2], ""]
    cores = [re.sub(r"[.,;:?!]+$", "", one) for one in words]
    position, plain = 0, ""
    while position < len(words):
        end = run(words, cores, gaps, position)
        if end == position:
            plain += words[position] + gaps[position]
            position += 1
            continue
        last = end - 1
        if plain:
            yield False, plain
        yield True, " ".join([*words[position:last], cores[last]])
        plain = words[last][len(cores[last]) :] + gaps[last]
        position = end
    if plain:
        yield False, plain


def run(words: list[str], cores: list[str], gaps: list[str], start: int) -> int:
    """Return where the longest formula that begins with the word at `start` ends, or `start` if none does."""
    best = start
    for end in range(start + 1, len(words) + 1):
        core = cores[end - 1]
        beside_operator = any(BETWEEN.fullmatch(one) for one in cores[max(start, end - 2) : end + 1])
        if not sure(core) and (not neutral(core) or (core in NO_LETTER and not beside_operator)):
            break
        found = [*words[start : end - 1], core]
        if balanced(" ".join(found)) and is_formula(found):
            best = end
        if words[end - 1] != core or gaps[end - 1] in "“”":  # a sign at its end ends a formula, and so do quotes
            break
    return best


def is_formula(tokens: list[str]) -> bool:
    """Say whether tokens make a formula: one is sure, or an operator stands between two, of which one is a letter."""
    if any(BETWEEN.fullmatch(one) for one in (tokens[0], tokens[-1])):
        return False
    letters = any(re.search("[A-Za-z]", one) for one in tokens)
    return any(map(sure, tokens)) or (letters and any(BETWEEN.fullmatch(one) for one in tokens[1:-1]))


def equation(text: str) -> str | None:
    """Return a paragraph that is nothing but an equation as TeX, with its place in the paper, or None."""
    place = SOURCE.search(text)
    formula = text[: place.start()] if place else text
    if "\n" in text or not re.search(r"[=←]", formula) or formula.endswith((".", ":", "?")):
        return None
    prose = [one for one in re.findall(r"[A-Za-z]{3,}", re.sub(r"_\{?\w+\}?", "", formula)) if one not in OPERATORS]
    if not balanced(formula) or len(prose) > 2 or not SURE.search(unicodedata.normalize("NFD", formula)):
        return None
    shown = to_tex(formula)
    return shown + rf" \qquad \text{{{place[0].strip()}}}" if place else shown
