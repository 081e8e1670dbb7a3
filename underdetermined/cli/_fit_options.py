"""Options of ``underdetermined fit`` that not all models have: which model has them, and what they may be."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from underdetermined.cli._arguments import activation, activation_help, integer, number_from, number_or, real, share
from underdetermined.joint._initialisation import INITIALISATIONS
from underdetermined.solvers import SOLVERS

RANDOM, SPARSE, EXPONENTIAL, TWO_LAYER = "random-features", "sparse-relu", "exponential", "two-layer"
MODELS = (RANDOM, SPARSE, EXPONENTIAL, TWO_LAYER)


@dataclass(frozen=True)
class Option:
    """One option: for each model that has it, what it is unless given, None for the default of the estimator.

    It is read by `parse`, or else is a word out of those of the model, or a number from `low` on; `is_open` leaves out `low`
    itself. A switch has neither.
    """

    defaults: dict[str, Any]
    metavar: str | None
    help: str
    parse: Callable[[str], Any] | None = None
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    low: float | None = None
    is_open: bool = False

    def add(self, group: "argparse._ArgumentGroup", flag: str) -> None:
        """Add the option to a group of the help; it is None unless given."""
        if self.metavar is None:
            group.add_argument(flag, action="store_const", const=True, help=self.help)
            return
        every = tuple(dict.fromkeys(word for words in self.words.values() for word in words))
        if self.parse is not None:
            group.add_argument(flag, type=self.parse, metavar=self.metavar, help=self.help)
        elif self.low is None:
            group.add_argument(flag, choices=every, metavar=self.metavar, help=self.help)
        else:
            parse = number_or(self.low, *every, low_open=self.is_open)
            group.add_argument(flag, type=parse, metavar=self.metavar, help=self.help)

    def check(self, flag: str, given: Any, model: str) -> None:
        """Refuse an option that the model does not have, and words that are for others."""
        shown = flag if given is True else f"{flag} {given}"
        if model not in self.defaults:
            others = " or ".join(self.defaults)
            raise ValueError(f"{shown} has no effect on --model {model}; leave it out, or add --model {others}")
        words = self.words.get(model, ())
        if self.parse is None and isinstance(given, str) and given not in words:
            known = [number_from(self.low, low_open=self.is_open)] if self.low is not None else []
            known += [f"one of {', '.join(words)}"] if len(words) > 1 else list(words)
            raise ValueError(f"{shown} is not for --model {model}; leave it out, or give {' or '.join(known)}")


OPTIONS: dict[str, Option] = {
    "bias": Option(
        {SPARSE: "auto"},
        "B",
        "all biases start at -B: the larger B, the fewer neurons fire; auto: as large as the width allows [auto]",
        words={SPARSE: ("auto",)},
        low=0.0,
    ),
    "row_scale": Option(
        {EXPONENTIAL: "auto"},
        "C",
        "factor of the standardised rows, or auto: norms near 0.75, where exponentials are tame [auto]",
        words={EXPONENTIAL: ("auto",)},
        low=0.0,
        is_open=True,
    ),
    "init": Option(
        {TWO_LAYER: "lecun"},
        "I",
        f"standard deviations of the weights at the start: one of {', '.join(INITIALISATIONS)} [lecun]",
        words={TWO_LAYER: tuple(INITIALISATIONS)},
    ),
    "weight_scale": Option(
        {TWO_LAYER: 1.0},
        "C",
        "factor of the hidden weights at the start: above 1 features bend more, and training mostly gets easier [1]",
        parse=real(0.0, float("inf")),
    ),
    "early_stopping": Option(
        {TWO_LAYER: False}, None, "keep the step that predicts a tenth of the rows best, which are left out of training"
    ),
    "activation": Option(
        {RANDOM: "relu", TWO_LAYER: "tanh"},
        "A",
        f"{activation_help()} [{RANDOM}: relu, {TWO_LAYER}: tanh]",
        parse=activation,
    ),
    "alpha": Option(
        {RANDOM: "loo", EXPONENTIAL: 1.0, TWO_LAYER: "loo"},
        "F",
        f"{RANDOM}: penalty of the second fit; otherwise: penalty of the way from the start, 0 interpolates; loo, but for "
        f"{EXPONENTIAL}, chooses it by leave-one-out [loo; {EXPONENTIAL}: 1]",
        words={RANDOM: ("loo",), TWO_LAYER: ("loo",)},
        low=0.0,
    ),
    "solver": Option(
        {RANDOM: "auto", EXPONENTIAL: "gauss-newton", TWO_LAYER: "gauss-newton"},
        "S",
        f"{RANDOM}: one of auto, {', '.join(SOLVERS)} [auto]; {EXPONENTIAL}: gauss-newton or gd [gauss-newton]; "
        f"{TWO_LAYER}: gauss-newton, gd or heavy-ball [gauss-newton]",
        words={
            RANDOM: ("auto", *SOLVERS),
            EXPONENTIAL: ("gauss-newton", "gd"),
            TWO_LAYER: ("gauss-newton", "gd", "heavy-ball"),
        },
    ),
    "learning_rate": Option(
        {SPARSE: "auto", EXPONENTIAL: "auto", TWO_LAYER: "auto"},
        "R",
        f"step of gradient descent, or auto; {TWO_LAYER} with gd also: cauchy, or certified, which is an error without a "
        "certificate [auto]",
        words={SPARSE: ("auto",), EXPONENTIAL: ("auto",), TWO_LAYER: ("auto", "cauchy", "certified")},
        low=0.0,
        is_open=True,
    ),
    "max_iter": Option(
        {SPARSE: 300, EXPONENTIAL: 300, TWO_LAYER: None},
        "N",
        f"most steps [300; {TWO_LAYER}: 100 with gauss-newton, 2000 otherwise]",
        parse=integer(1),
    ),
    "tol": Option(
        {SPARSE: None, EXPONENTIAL: None, TWO_LAYER: None},
        "T",
        "stop where the residual (with a penalty, the gradient) is this share of that at the start; if it is given and "
        f"not reached, the exit code is 1 [{SPARSE}: 0.1, {EXPONENTIAL}: 1e-8, {TWO_LAYER}: 0.001, or 0.01 for classes]",
        parse=share,
    ),
}


def add_own(command: argparse.ArgumentParser) -> None:
    """Add the options that not all models have, one group for all that have the same models."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name, option in OPTIONS.items():
        *some, last = option.defaults
        models = f"{', '.join(some)} or {last}" if some else last
        if models not in groups:
            groups[models] = command.add_argument_group(f"with --model {models}")
        option.add(groups[models], _flag(name))


def options_of_the_model(options: argparse.Namespace) -> dict[str, Any]:
    """Take the options that the model has, and refuse those of the others."""
    model = options.model
    own = {name: option.defaults[model] for name, option in OPTIONS.items() if model in option.defaults}
    for name, option in OPTIONS.items():
        given = getattr(options, name)
        if given is not None:
            option.check(_flag(name), given, model)
            own[name] = given
    if model in (EXPONENTIAL, TWO_LAYER):
        _check_trained(options, own)
    return own


def _check_trained(options: argparse.Namespace, own: dict[str, Any]) -> None:
    """Refuse what the estimators would refuse, in the words of the command line."""
    if options.width != "auto" and options.width % 2:
        raise ValueError(
            f"--width {options.width} is odd, and --model {options.model} draws neurons in pairs; give an even number"
        )
    rate, solver = own["learning_rate"], own["solver"]
    if solver == "gauss-newton" and rate != "auto":
        raise ValueError(f"--learning-rate {rate} has no effect on --solver {solver}; leave it out, or add --solver gd")
    if solver == "heavy-ball" and rate in ("cauchy", "certified"):
        raise ValueError(f"--learning-rate {rate} is not for --solver {solver}; leave it out, or give a number above 0")
    if rate == "certified" and own["alpha"] != 0:
        raise ValueError("--learning-rate certified is proved without a penalty; add --alpha 0")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
