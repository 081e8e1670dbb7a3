"""The width that a table needs: which rows, in which units, and what the experiment adds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from underdetermined.bounds import minimum_width
from underdetermined.tables import load_dataset
from underdetermined.width_table import width_on_table


@pytest.fixture(scope="module")
def table():
    return load_dataset("diabetes").sample(np.arange(0, 200, 10))


def test_bounds_are_those_of_the_standardised_rows(table):
    found = width_on_table(table, activation="erf", target="spectrum", epsilon=0.3, random_state=5)
    X = StandardScaler().fit_transform(table.inputs)
    expected = minimum_width(X, activation="erf", target="spectrum", epsilon=0.3, seed=5)
    assert found.minimum.to_dict() == expected.to_dict()
    assert (found.empirical, found.measurement) == (None, None)


@pytest.mark.parametrize("exponent", [-1000, 1000])
def test_units_do_not_matter(table, exponent):
    scaled = replace(table, inputs=np.ldexp(table.inputs, exponent))
    expected, found = (width_on_table(data, n_seeds=3).to_dict() for data in (table, scaled))
    assert found == expected


def test_target_plays_no_part(table):
    expected, found = (width_on_table(data) for data in (table, replace(table, target=np.array(["a"] * 20))))
    assert found.minimum.to_dict() == expected.minimum.to_dict()


def test_rows_are_drawn_by_the_seed(table):
    first, again, other = (width_on_table(table, max_rows=8, random_state=seed) for seed in (0, 0, 1))
    assert first.to_dict() == again.to_dict()
    assert first.minimum.problem.n_rows == 8
    assert not np.array_equal(first.minimum.problem.inputs, other.minimum.problem.inputs)
    assert first.notes[0].startswith("8 of 20 rows were used")
    assert width_on_table(table, max_rows=20).notes == width_on_table(table).notes


def test_experiment(table):
    lines = []
    found = width_on_table(table, activation="sin_cos", n_seeds=30, progress=lines.append)
    # sin_cos is analytic and has no ties: as many neurons as rows have full rank, fewer have not.
    assert found.empirical.width == found.minimum.bound("empirical").width == 20
    assert found.measurement.widths[0] == 10
    assert found.measurement.widths[-1] == 160
    assert found.measurement.n_seeds == 10
    assert (found.measurement.rank.min(axis=1) == np.minimum(found.measurement.widths, 20)).all()
    assert lines[0] == "bounds on the width"
    assert {line.partition(":")[0] for line in lines[1:]} == {"search", "measurement"}
    json.dumps(found.to_dict(), allow_nan=False)


def test_condition_number(table):
    limit = width_on_table(table).minimum.problem
    kappa = 3.0 * limit.largest / limit.smallest
    found = width_on_table(table, target=kappa, n_seeds=30, failure_probability=0.2)
    assert (found.empirical.event, found.empirical.threshold) == ("condition", kappa)
    assert found.empirical.failure_probability == found.minimum.failure_probability == 0.2
    inside = found.measurement.widths >= 2 * found.empirical.width
    assert inside.any()
    assert (np.median(found.measurement.condition[inside], axis=1) <= kappa).all()


def interrupt_search(line):
    if line.startswith("search"):
        raise KeyboardInterrupt


def test_interruption_of_the_search(table):
    with pytest.raises(KeyboardInterrupt):
        width_on_table(table, n_seeds=3, progress=interrupt_search)
