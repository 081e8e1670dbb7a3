"""An attainable rank in plain words."""

from __future__ import annotations

from underdetermined.activations import Activation
from underdetermined.attainability._parts import Parts
from underdetermined.attainability._range import Range
from underdetermined.attainability._result import Group

_SHOWN_GROUPS = 3
_SHOWN_ROWS = 6


def explain(activation: Activation, parts: Parts, bias: bool, space: Range, groups: list[Group], near: list[Group]) -> str:
    """Explain a rank: how many conditions there are, which rows cause them, by which identity, and what helps.

    Parameters
    ----------
    activation : Activation
        The activation.
    parts : Parts
        Its parts, as seen through the bias.
    bias : bool
        Whether neurons have biases.
    space : Range
        What can be attained.
    groups : list of Group
        Rows that are tied together.
    near : list of Group
        Rows that nearly are.

    Returns
    -------
    str
        One paragraph.
    """
    n_rows = space.single.shape[0]
    deficiency = n_rows - space.rank
    name = str(activation) if len(activation.parameters) < 3 else activation.name
    network = f"a network of one hidden layer of {name} neurons {'with' if bias else 'without'} biases"
    sentences = [f"Rank {space.rank} of {n_rows}: {network}, of any width and however it is trained,"]
    if deficiency:
        conditions = "one linear condition" if deficiency == 1 else f"{deficiency} independent linear conditions"
        sentences[0] += f" obeys {conditions} on these rows and fits only targets that do."
        for kind in ("duplicate", "ray", "antipodal", "zero", "polynomial"):
            chosen = [group for group in groups if group.kind == kind]
            if chosen:
                sentences.append(_reason(kind, chosen, name, parts, space))
        sentences.append(_remedy({group.kind for group in groups}, bias, parts))
    else:
        sentences[0] += (
            " can fit every target on these rows if it is wide enough. This says nothing about conditioning: how large the"
            " coefficients become and how fast descent is, the spectrum of the Gram matrix says."
        )
    if near:
        count = "One group" if len(near) == 1 else f"{len(near)} groups"
        sentences.append(f"{count} of rows nearly coincide ({_listed(near)}): counted as different, but ill-conditioned.")
    if not bias and activation.function is not None and None in (activation.even_degree, activation.odd_degree):
        sentences.append(
            f"Of {name} only the facts that it was given are used: even_degree, odd_degree or homogeneous being None"
            " means 'not so, or not known', and where it is not known the true rank may be smaller."
        )
    return " ".join(sentences)


def _reason(kind: str, groups: list[Group], name: str, parts: Parts, space: Range) -> str:
    """Name the rows and the identity."""
    rows = _listed(groups)
    one = len(groups) == 1
    if kind == "duplicate":
        return f"Rows {rows} are equal{'' if one else ' within each group'}, so that every model gives them one output."
    if kind == "ray":
        factor = {0: "", 1: "c "}.get(parts.homogeneous or 0, f"c^{parts.homogeneous} ")
        where = "lie on one ray" if one else "lie on one ray each"
        return f"Rows {rows} {where}, and {name}(c t) = {factor}{name}(t) for c > 0: one output there fixes the others."
    if kind == "zero":
        if not parts.at_zero:
            which = f"Row {groups[0].rows[0]} is zero" if len(groups[0].rows) == 1 else f"Rows {rows} are zero"
            return f"{which}, and {name}(0) = 0: the output there is 0 whatever the parameters."
        return f"Zero rows {rows} receive {name}(0) = {parts.at_zero:.4g} from every neuron, the constant of these pairs."
    if kind == "antipodal":
        sign = parts.opposite or 1
        if not parts.polynomial:
            opposite = f"{name}(-t) = {'-' if sign == 1 else ''}{name}(t)"
            return f"Rows {rows} are on both sides of the origin, and {opposite}."
        total = " + ".join(_term(2.0 * c, k) for k, c in sorted(parts.polynomial.items()))
        identity = f"{name}(t) {'+' if sign == 1 else '-'} {name}(-t) = {total}"
        what = "sums" if sign == 1 else "differences"
        involved = int(space.involved.sum())
        pairs = f"{len(groups)} pair{'' if one else 's'}{' and the zero rows' if involved > len(groups) else ''}"
        return (
            f"Rows {rows} are on both sides of the origin, and {identity} for every neuron, so that the {what} of the"
            f" outputs over such pairs are the values of {_form(parts.polynomial)}: {pairs}, but a space of dimension"
            f" {space.n_polynomials - (space.mixed.shape[1] - involved)}."
        )
    degrees = ", ".join(map(str, sorted(parts.polynomial))) or "none"
    return (
        f"{name} is a polynomial, so that every output is a polynomial of the inputs (degrees of its monomials: {degrees});"
        f" these form a space of numerical dimension {space.n_polynomials} only, polynomials that agree to rounding on these"
        f" points counting as one, too small for rows {rows}."
    )


def _remedy(kinds: set[str], bias: bool, parts: Parts) -> str:
    """Say what would help."""
    remedies = []
    if kinds & {"ray", "antipodal", "zero"}:
        remedies.append("a bias, or a constant column in X, removes the ties of rays, antipodal pairs and zero rows")
    if "polynomial" in kinds:
        lower = "" if bias else "a bias adds the lower degrees; "
        remedies.append(f"{lower}an activation that is not a polynomial has no such limit")
    if "duplicate" in kinds:
        remedies.append("merge equal rows and average their targets")
    if "zero" in kinds and parts.is_polynomial and not bias:
        remedies = remedies[1:] + remedies[:1]
    return f"Remedy: {'; '.join(remedies)}."


def _form(polynomial: dict[int, float]) -> str:
    """What a sum of neurons makes of the polynomial."""
    degrees = sorted(polynomial)
    if degrees == [0]:
        return "one constant"
    if degrees == [1]:
        return "one linear function of x"
    return f"one polynomial in x with terms of degree {' and '.join(map(str, degrees))}"


def _term(coefficient: float, degree: int) -> str:
    """One monomial."""
    power = "" if degree == 0 else "t" if degree == 1 else f"t^{degree}"
    number = f"{coefficient:.6g}"
    return number if not power else power if number == "1" else f"{number} {power}"


def _listed(groups: list[Group]) -> str:
    """The first few groups with their first few rows."""
    shown = []
    for group in groups[:_SHOWN_GROUPS]:
        rows = ", ".join(map(str, group.rows[:_SHOWN_ROWS]))
        shown.append(f"({rows}, ... {len(group.rows)} in all)" if len(group.rows) > _SHOWN_ROWS else f"({rows})")
    more = len(groups) - _SHOWN_GROUPS
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
