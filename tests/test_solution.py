"""Status and Solution explain themselves."""

import dataclasses

import numpy as np
import pytest

from underdetermined.solution import Solution, Status, Trajectory


@pytest.fixture
def solution():
    return Solution(
        coef=np.zeros((5, 2)),
        intercept=np.zeros(2),
        method="qr",
        status=Status.EXACT,
        n_iter=1,
        rank=3,
        condition=12.0,
        residual_norm=np.array([0.0, 1e-15]),
        coef_norm=np.array([2.0, 1.0]),
    )


def test_every_status_has_one_sentence_of_advice():
    advice = [status.advice for status in Status]
    assert len(set(advice)) == len(Status)
    assert all(text.endswith(".") and text.count(". ") == 0 for text in advice)


def test_status_values_are_names():
    assert [status.value for status in Status] == [status.name.lower() for status in Status]
    assert Status("max_iter") is Status.MAX_ITER


def test_only_an_unfinished_iteration_is_a_failure():
    assert [status for status in Status if not status.is_success] == [Status.MAX_ITER, Status.DIVERGED]


def test_trajectory_explains_itself():
    trajectory = Trajectory(np.zeros(3), np.array([2.0, 1.0]), np.array([0.5, 0.25]), Status.MAX_ITER, 1)
    assert repr(trajectory) == "Trajectory(status=MAX_ITER, n_iter=1, value=1, gradient_norm=0.25, theta=(3,))"
    assert "raise max_iter" in trajectory.advice


def test_repr_is_short(solution):
    assert repr(solution) == (
        "Solution(method='qr', status=EXACT, coef=(5, 2), rank=3, condition=12, residual_norm=1e-15, coef_norm=2, n_iter=1)"
    )


def test_solution_is_frozen_and_gives_advice(solution):
    assert solution.advice == Status.EXACT.advice
    with pytest.raises(dataclasses.FrozenInstanceError):
        solution.rank = 4
