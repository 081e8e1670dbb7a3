"""A callback that records the steps of a fit."""


class Recorder:
    """Notes what it is shown, and asks to stop at the step `last`."""

    def __init__(self, last=None):
        self.last, self.seen, self.scores = last, [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator=None):
        self.seen.append("end")
        self.scores.append(fitted_estimator.score(X, y))
        return len(self.scores) == self.last
