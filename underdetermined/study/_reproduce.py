"""For each section of a study, how its numbers are had in Python."""

from __future__ import annotations

from underdetermined.study._result import Study
from underdetermined.study._snippets import Snippet, loading_code, make_snippet
from underdetermined.study._width import (
    CURVE_SEEDS,
    EPSILON,
    FAILURE_PROBABILITY,
    LARGEST_WIDTH,
    SEARCH_RESOLUTION,
    SEARCH_SEEDS,
)


def snippets_of(study: Study, *, rows: int, folds: int) -> dict[str, Snippet]:
    """One snippet for each section that was computed.

    Parameters
    ----------
    study : Study
        The study; its snippets are not looked at.
    rows : int
        Most rows of the parts that need eigenvalues.
    folds : int
        Folds of the cross-validation.

    Returns
    -------
    dict of str to Snippet
        By section.
    """
    loading = loading_code(study.table)
    task = f"task={study.task!r}"
    seed = study.random_state
    network = f"activation={study.activation!r}"
    prepared, prepared_for_ranks = (
        "from underdetermined.study import prepare_table\n"
        f"X, y = prepare_table(table, {task}, max_rows={most}, random_state={seed})\n"
        for most in (rows, study.max_rows)
    )
    bodies: dict[str, tuple[str, list[tuple[str, object]]]] = {
        "data": _data(study, task),
        "attainability": _attainability(study, prepared_for_ranks, network),
    }
    if study.spectra is not None:
        bodies["spectra"] = _spectra(study, f"{task}, max_rows={rows}, random_state={seed}")
    if study.descent is not None:
        bodies["descent"] = _descent(study, prepared, f"{network}, random_state={seed}")
    if study.width is not None:
        bodies["width"] = _width(study, prepared, f"{network}, seed={seed}")
    if study.scores is not None:
        options = f"{task}, {network}, folds={folds}, max_rows={study.max_rows}, random_state={seed}"
        bodies["scores"] = _scores(study, options)
    return {name: make_snippet(loading, *body) for name, body in bodies.items()}


Body = tuple[str, list[tuple[str, object]]]


def _data(study: Study, task: str) -> Body:
    code = f"from underdetermined.study import summarise_table\ndata = summarise_table(table, {task})"
    names = ("n_rows", "n_inputs", "n_repeated", "constant_inputs")
    return code, [(f"data.{name}", getattr(study.data, name)) for name in names]


def _attainability(study: Study, prepared: str, network: str) -> Body:
    code = (
        prepared + "from numpy.linalg import norm\nfrom underdetermined import attainable_rank\n"
        f"found = attainable_rank(X, {network}, bias=True)\n"
        f"bare = attainable_rank(X, {network}, bias=False)"
    )
    shares = "norm({}.unattainable_part(y)) / norm(y)"
    results: list[tuple[str, object]] = []
    for name, found, lost in zip(("found", "bare"), study.attainability, study.lost, strict=True):
        results += [(f"{name}.rank", found.rank), (shares.format(name), lost)]
    return code, results


def _spectra(study: Study, options: str) -> Body:
    assert study.spectra is not None
    code = (
        "from underdetermined.activation_comparison import compare_on_table\n"
        "from underdetermined.displays import draw_spectra\n"
        f"spectra = compare_on_table(table, {options})\n"
        "figure = draw_spectra(spectra)"
    )
    best = study.spectra.best
    results: list[tuple[str, object]] = [("len(spectra.rows)", len(study.spectra.rows))]
    if best is not None:
        results += [
            ("spectra.best.activation", best.activation),
            ("spectra.best.attainable_condition", best.attainable_condition),
        ]
    return code, results


def _descent(study: Study, prepared: str, options: str) -> Body:
    run = study.descent
    assert run is not None
    code = (
        prepared + "from underdetermined.displays import DescentDisplay\n"
        "from underdetermined.study import run_descent\n"
        f"run = run_descent(X, y, {options})\n"
        "display = DescentDisplay.from_forecast(run.forecast, run.trajectory.value)"
    )
    results: list[tuple[str, object]] = [
        ("run.width", run.width),
        ("run.forecast.learning_rate", run.forecast.learning_rate),
        ("run.trajectory.value[-1]", float(run.trajectory.value[-1])),
        ("run.kernel_error", run.kernel_error),
        *((f"run.steps[{index}]", step) for index, step in enumerate(run.steps)),
        ("run.course[-1]", run.course[-1]),
    ]
    return code, results


def _width(study: Study, prepared: str, network: str) -> Body:
    found = study.width
    assert found is not None
    limits = f"epsilon={EPSILON}, failure_probability={FAILURE_PROBABILITY}"
    code = (
        prepared + "from underdetermined.bounds import minimum_width\n"
        "from underdetermined.displays import WidthDisplay\n"
        "from underdetermined.empirical_width import empirical_minimum_width, measure_widths\n"
        f'minimum = minimum_width(X, target="spectrum", {limits}, {network})\n'
    )
    results: list[tuple[str, object]] = [
        ("minimum.bound('necessary').width", found.minimum.bound("necessary").width),
        ("minimum.recommended.name", found.minimum.recommended.name),
        ("minimum.recommended.width", found.minimum.recommended.width),
    ]
    if found.empirical is not None:
        code += (
            f'empirical = empirical_minimum_width(X, event="spectrum", {limits},\n'
            f"    n_seeds={SEARCH_SEEDS}, resolution={SEARCH_RESOLUTION}, max_width={LARGEST_WIDTH * study.n_rows},\n"
            f"    {network})\n"
            "minimum = minimum.with_bound(empirical.as_bound())\n"
        )
        results.append(("empirical.width", found.empirical.width))
    code += (
        f"widths = {found.measurement.widths.tolist()}\n"
        f"measurement = measure_widths(X, widths, n_seeds={CURVE_SEEDS}, {network})\n"
        "display = WidthDisplay.from_measurement(measurement, minimum.bounds)"
    )
    return code, results


def _scores(study: Study, options: str) -> Body:
    assert study.scores is not None
    code = (
        "from underdetermined.comparison import compare\nfrom underdetermined.displays import draw_comparison\n"
        f"comparison = compare(table, {options})\n"
        "figure = draw_comparison(comparison)"
    )
    results: list[tuple[str, object]] = [
        (f"comparison.fits[{index}].width", fit.width) for index, fit in enumerate(study.scores.fits)
    ]
    results += [(f"comparison.scores[{index}].mean", score.mean) for index, score in enumerate(study.scores.scores)]
    return code, results
