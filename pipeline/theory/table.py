"""The table of the theory: which assumption holds and which bound, and by what margin.

A row's `kind` says what a failure means. `assumption`: the theorem that needs it does not speak of
this network or its training. `bound`: our derivation is wrong. `estimate`: nothing, for the figure
is a largest one among those tried and stands for a supremum that it does not reach.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["assumption", "bound", "estimate"]
Cell = float | str | None
_SIDES = (
    ("‖∇_wℓ‖ with ‖∇ₓℓ‖", ""),
    ("the same, both over ‖∂ℓ/∂y‖", "_per_evidence"),
)
TOLERANCE = 1e-9
"""Relative; float64 sums of some thousand terms stay far below it."""


@dataclass(frozen=True)
class Row:
    """One line. `margin` is bound/observed, for the contraction 1 − κ; null where none exists.

    `holds` is null where the figures do not decide it.
    """

    kind: Kind
    name: str
    bound: Cell
    observed: Cell
    holds: bool | None
    margin: float | None = None


def rows_of(report: Mapping[str, Any]) -> list[Row]:
    """Return the table of a report. A null number in it is one beyond float64."""
    return [
        *_forward_rows(report),
        *_contraction_rows(report),
        *_training_rows(report),
        *_state_rows(report),
        *_lipschitz_rows(report),
        *_loss_rows(report["loss"]),
        *_mechanism_rows(report["mechanism"]),
    ]


def violated(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of bounds that do not hold."""
    return [row["name"] for row in rows if row["kind"] == "bound" and row["holds"] is False]


def _forward_rows(report: Mapping[str, Any]) -> list[Row]:
    allowed, seen = report["input_max"]["allowed"], report["input_max"]["seen"]
    forward = report["training"].get("forward", "other")
    return [
        Row("assumption", "A1 inputs between 0 and X", allowed, seen, 0 <= seen <= allowed),
        Row(
            "assumption", "A2 trained with a smooth forward", "smooth", forward, forward == "smooth"
        ),
    ]


def _contraction_rows(report: Mapping[str, Any]) -> list[Row]:
    places = (("everywhere", "any membrane"), ("seen", "membranes seen"))
    return [
        Row(
            "assumption",
            f"A3 κ < 1, {words}, {layer['name']}",
            1.0,
            layer["contraction"][place],
            layer["contraction"][place] < 1,
            1 - layer["contraction"][place],
        )
        for place, words in places
        for layer in report["layers"]
    ]


def _training_rows(report: Mapping[str, Any]) -> list[Row]:
    """Return A4 to A8. L is known from below alone, so η can be seen to be too large, never small
    enough; and only a minibatch of all recordings is unbiased within a shuffled epoch.
    """
    training, limit = report["training"], report["loss"]["largest_step_size"]
    if "second_batch" not in training:
        return []
    deviations = training["deviations"]
    rate, adaptive = training["learning_rate"], training["adaptive"]
    second, independent = training["second_batch"], training["second_batch"] == "independent"
    whole = training["recordings"] <= training["batch_size"]
    drawn = "all recordings" if whole else "shuffled epochs"
    return [
        Row("assumption", "A4 second minibatch independent", "independent", second, independent),
        Row("assumption", "A5 minibatches unbiased given w", "drawn anew", drawn, whole),
        Row("assumption", "A6 ‖ε‖₂ ≤ ρ", "ρ", "ρ in |w|" if adaptive else "ρ", not adaptive),
        Row(
            "assumption",
            "A7 plain SGD on one objective",
            "none else",
            ", ".join(deviations) or "none else",
            not deviations,
        ),
        Row(
            "assumption",
            "A8 η ≤ 1/(4L), L from below",
            limit,
            rate,
            False if limit is not None and rate > limit else None,
            None if limit is None else limit / rate,
        ),
    ]


def _state_rows(report: Mapping[str, Any]) -> list[Row]:
    rows = []
    for layer in report["layers"]:
        u, name = layer["membrane"], layer["name"]
        low, high = u["seen_low"], u["seen_high"]
        rows += [
            _bound(f"T1 |u|, geometric, {name}", u["geometric"], max(-low, high)),
            _bound(f"T1 u from above, intervals, {name}", u["high"], high),
            _bound(f"T1 −u from above, intervals, {name}", -u["low"], -low),
        ]
    return rows


def _lipschitz_rows(report: Mapping[str, Any]) -> list[Row]:
    rows = []
    for norm, sign in (("l2", "ℓ2"), ("linf", "ℓ∞")):
        found = report["lipschitz"][norm]
        rows += [
            _bound(f"T2 input-Lipschitz, {sign}, found", found["bound"], found["quotient"]),
            _bound(f"T2 input-Lipschitz, {sign}, Jacobian", found["bound"], found["local"]),
            _bound(f"T2 change over its own bound, {sign}", 1.0, found["share_of_bound"]),
            _bound(f"T2 evidence can move by, {sign}", found["width"], found["change"]),
        ]
    return rows


def _loss_rows(loss: Mapping[str, Any]) -> list[Row]:
    smooth, rho = loss["smoothness_bound"], loss["rho"]
    rows = [
        _bound("T3 ‖∇L‖₂", loss["gradient_bound"], loss["gradient_norm"]),
        _bound("T3 smoothness L", smooth, loss["smoothness_estimate"]),
    ]
    for step in loss["ascent"]:
        size, short = step["rho"], abs(step["remainder"])
        local = size**2 / 2 * step["curvature"]
        rows += [
            Row(
                "estimate",
                f"P4 ρ‖g‖ against the loss at w+ε, ρ={size:g}",
                step["predicted"],
                step["actual"],
                None,
                _ratio(step["predicted"], step["actual"]),
            ),
            _bound(
                f"P4 remainder ≤ Lρ²/2, ρ={size:g}",
                None if smooth is None else smooth * size**2 / 2,
                short,
            ),
            Row(
                "estimate",
                f"P4 the same with the curvature on the way, ρ={size:g}",
                local,
                short,
                None,
                _ratio(local, short),
            ),
        ]
    floor = loss["convergence_floor"]
    squared = loss["gradient_norm"] ** 2
    name = f"T5 floor of mean ‖∇f‖², η at its limit, ρ={rho:g}"
    return [*rows, Row("estimate", name, floor, squared, None)]


def _mechanism_rows(found: Mapping[str, Any]) -> list[Row]:
    ratios = [ratio for ratio in found["conditioning"] if ratio is not None]
    silent = len(found["conditioning"]) - len(ratios)
    return [
        Row("assumption", "A9 σ_min(J_w) > 0, recordings without it", 0.0, silent, silent == 0),
        _bound("P6 ‖∇ₓℓ‖ over its own bound", 1.0, found["largest_share_of_bound"]),
        Row("estimate", "P6 σ_max(Jₓ)/σ_min(J_w), median", _median(ratios), None, None),
        *(
            Row("estimate", f"P6 {measure}, {what}", None, found[key + suffix], None)
            for what, suffix in _SIDES
            for measure, key in (("Pearson r", "pearson"), ("Spearman ρ", "spearman"))
        ),
    ]


def _bound(name: str, bound: float | None, observed: float) -> Row:
    """A bound beyond float64 holds, with no margin to give."""
    if bound is None:
        return Row("bound", name, "over 1.8e308", observed, True)
    holds = observed <= bound + TOLERANCE * max(abs(bound), abs(observed))
    return Row("bound", name, bound, observed, holds, _ratio(bound, observed))


def _ratio(bound: float, observed: float) -> float | None:
    return bound / observed if observed > 0 else None


def _median(values: Sequence[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def cells(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table as text, header first."""
    lines: list[Sequence[str]] = [("assumption or bound", "value", "observed", "holds", "margin")]
    for row in report["rows"]:
        says = {True: "yes", False: "no", None: "–"}[row["holds"]]
        if row["kind"] == "estimate":
            says = "estimate"
        minus = row["name"].startswith("A3")
        margin = _text(row["margin"]) if minus or row["margin"] is None else f"×{row['margin']:.3g}"
        lines.append((row["name"], _text(row["bound"]), _text(row["observed"]), says, margin))
    return lines


def _text(value: Cell) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.4g}"


def markdown(report: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    header, *body = cells(report)
    used, activation = report["recordings"], report["activation"]
    return "\n".join(
        [
            f"# Theory of {report['name']}, measured",
            "",
            f"{used['n']} {used['split']} recordings of {report['steps']} steps, "
            f"{activation['surrogate']} of slope {activation['slope']:g}, float64, "
            f"seed {report['seed']}. A1 to A9 are assumptions, T and P theorems and propositions "
            "(docs/sast-theory.md). An assumption that fails takes away the theorem that asks for "
            "it, not the finite-T bounds. An estimate was reached from below and bounds nothing.",
            "",
            "| " + " | ".join(header) + " |",
            "| --- | ---: | ---: | --- | ---: |",
            *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in body),
            "",
            "Operator norms by layer:",
            "",
            "| layer | ℓ∞ | ℓ1 | ℓ2, power iteration (from below) | ℓ2, bound | κ, mean seen "
            "| states with κ > 1 |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(_layer_line(layer) for layer in report["layers"]),
            "",
            "![mechanism](mechanism.png)",
            "",
        ]
    )


def _layer_line(layer: Mapping[str, Any]) -> str:
    norms, seen = layer["norms"], layer["contraction"]
    numbers = [norms[key] for key in ("linf", "l1", "l2_estimate", "l2_bound")]
    columns = [layer["name"], *map(_text, [*numbers, seen["seen_mean"]])]
    return "| " + " | ".join([*columns, f"{100 * seen['seen_expanding_share']:.2f}%"]) + " |"
