"""From the callback of a trainer to the callbacks of scikit-learn."""

from collections.abc import Callable
from typing import Any

__all__ = ["Steps"]


class Steps:
    """A trainer's callback: one subtask for each step, begun and ended once the step is known to have been taken.

    Parameters
    ----------
    progress : CallbackContext
        Context of the fit.
    data : dict
        What callbacks are shown besides the fitted estimator.
    learned : dict
        Fitted attributes that do not change from step to step.
    network : callable
        Takes the state of the trainer to the fitted attributes that change: hidden layer, and last layer if it is trained.

    Attributes
    ----------
    is_stopped : bool
        Whether a callback asked to stop.
    """

    def __init__(self, progress: Any, data: dict[str, Any], learned: dict[str, Any], network: Callable[[Any], dict]):
        self.progress, self.data, self.learned, self.network = progress, data, learned, network
        self.is_stopped = False

    def __call__(self, step: int, state: Any) -> bool:
        """Report the step, but for the start, and return whether to stop."""
        if step:
            task = self.progress.subcontext(task_name="iteration").call_on_fit_task_begin(**self.data)
            self.is_stopped = task.call_on_fit_task_end(
                **self.data, reconstruction_attributes=lambda: {**self.learned, **self.network(state)}
            )
        return self.is_stopped
