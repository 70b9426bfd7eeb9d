"""Commands and code to copy that reproduce a prediction with a checkpoint on a picture.

File names come from anywhere, so each is quoted for the language that it stands in.
"""

import shlex
from urllib.parse import quote, urlsplit, urlunsplit

from digitcore.formats.endings import ending_of
from digitcore.models.checkpoints import Checkpoint

__all__ = ["command_line", "curl_command", "python_code"]


def curl_command(
    checkpoint: Checkpoint, *, file: str, address: str, number: bool = False, one_digit: bool = False
) -> str:
    """A POSIX shell command that asks the HTTP API at this address, whose query is left out.

    With `number`, for all the digits on the picture; with `one_digit`, for one even if it shows several; likewise
    below.
    """
    scheme, host, path, _, _ = urlsplit(address)
    query = f"checkpoint={quote(checkpoint.name, safe='', errors='surrogateescape')}"
    query += "&mode=number" if number else "&mode=digit" if one_digit else ""
    endpoint = urlunsplit((scheme, host, f"{path.rstrip('/')}/predict", query, ""))
    return f"curl -F {shlex.quote(f'image=@{file}')} {shlex.quote(endpoint)}"


def command_line(checkpoint: Checkpoint, *, file: str, number: bool = False, one_digit: bool = False) -> str:
    """A POSIX shell command that asks the command line, to be run in the project's folder."""
    checkpoint_option = shlex.quote(f"--checkpoint={_reference(checkpoint)}")
    mode = " --number" if number else " --digit" if one_digit else ""
    return f".venv/bin/python -m digitcore predict {shlex.quote(file)}{mode} {checkpoint_option} --json"


def python_code(checkpoint: Checkpoint, *, file: str, number: bool = False) -> str:
    """Python code that prints digit, or number, and confidence, after a check that the weights are the same."""
    picture = f"Image.open({file!r})"
    return (
        "from PIL import Image\n\n"
        "import digitcore\n"
        + ("from digitcore.models.numbers import read_number\n" if number else "")
        + f"\nclassifier = digitcore.load_classifier({_reference(checkpoint)!r})\n"
        f'assert classifier.checkpoint.digest == (\n    "{checkpoint.digest}"\n)\n'
        + (
            f"reading = read_number(classifier, {picture})\nprint(reading.number, reading.confidence)\n"
            if number
            else f"prediction = classifier.predict({picture})\nprint(prediction.digit, prediction.confidence)\n"
        )
    )


def _reference(checkpoint: Checkpoint) -> str:
    """What `load_checkpoint` finds it by: its name, or its file where the name would be taken for one."""
    is_taken_for_file = bool(ending_of(checkpoint.name)) and checkpoint.path is not None
    return str(checkpoint.path) if is_taken_for_file else checkpoint.name
