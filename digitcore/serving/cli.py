"""The command line: `digitcore COMMAND`, or `python -m digitcore COMMAND`.

Results go to standard output, with `--json` as one JSON array; progress and errors go to standard error. Exit status
0; 1 for an input that could not be used, the others being answered all the same; 2 for wrong usage.
"""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from digitcore.errors import DigitcoreError
from digitcore.serving.cli_common import print_error
from digitcore.settings import project_version

__all__ = ["commands", "main"]

_MODULES = {
    name: f"digitcore.serving.cli_{module}"
    for module, names in {
        "bench": ["bench"],
        "dashboard": ["dashboard"],
        "data": ["data"],
        "evaluate": ["evaluate", "compare"],
        "files": ["cards", "download", "export"],
        "predict": ["predict"],
        "train": ["train", "join", "calibrate"],
    }.items()
    for name in names
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command (default: the process's arguments) and returns its exit status.

    Raises:
        SystemExit: with status 2, for wrong usage.
    """
    if arguments is None:
        _print_any_name()
    try:
        status = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # nobody reads the results any more; without this Python would try to write the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except DigitcoreError as error:
        return print_error(error)
    except ValueError as error:
        if not str(error).startswith("DIGITCORE_"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    """Does what `commands.main` does, but leaves KeyboardInterrupt and BrokenPipeError to the caller."""
    try:
        with commands.make_context(_program_name(), arguments) as context:
            status: int = commands.invoke(context)
            return status
    except click.exceptions.Exit as request:  # --help and --version
        return request.exit_code
    except click.UsageError as error:
        error.show()
        raise SystemExit(error.exit_code) from error


def _program_name() -> str:
    return "digitcore" if Path(sys.argv[0]).stem == "digitcore" else "python -m digitcore"


def _print_any_name() -> None:
    """Lets file names be printed in any locale, with escapes for characters that its encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        print(f"digitcore {project_version()}")
        context.exit()


class _Commands(click.Group):
    """Commands that are imported when they are asked for: most of them need torch, which takes seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the alphabet."""
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None where there is none."""
        if cmd_name not in _MODULES:
            return None
        command: click.Command = getattr(import_module(_MODULES[cmd_name]), f"{cmd_name}_command")
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
def commands() -> None:
    """Handwritten-digit recognition."""
