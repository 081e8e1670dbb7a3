"""What ``--help`` of every command says, and that it fits on a terminal."""

import pytest

from underdetermined.cli import main

COMMANDS = {
    "fit": [
        *("--model", "--width", "--alpha", "--solver", "--cv", "--save", "--plot", "--json", "--task"),
        *("--bias", "--learning-rate", "--max-iter", "--tol", "--row-scale"),
    ],
    "spectrum": ["--activations", "--kind", "--width", "--no-bias", "--plot", "--json", "--task"],
    "width": [
        *("--goal", "--epsilon", "--failure-probability", "--no-bias", "--weight-scale"),
        *("--measure", "--seeds", "--plot", "--json"),
    ],
    "report": ["--output", "--activation", "--task"],
}
EVERYWHERE = ["DATA", "--dataset", "--target", "--header", "--max-rows", "--seed", "--quiet", "exit codes:"]


@pytest.fixture
def explain(capsys, monkeypatch):
    """Ask a command for its help on a terminal of some width; return the text."""

    def run_main(columns, *words):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as caught:
            main([*words, "--help"])
        assert caught.value.code == 0
        return capsys.readouterr().out

    return run_main


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_explained(explain, command):
    found = explain(100, command)
    words = found.split()
    for option in [*COMMANDS[command], *EVERYWHERE]:
        assert option in found
    assert words.index("data:") < words.index("network:") < words.index("output:")


def test_every_command_is_listed(explain):
    found = explain(80)
    for command in [*COMMANDS, "doctor", "exit codes:"]:
        assert command in found


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["doctor"]], ids=" ".join)
def test_help_fits_the_terminal(explain, command, columns):
    assert max(map(len, explain(columns, *command).splitlines())) < columns
