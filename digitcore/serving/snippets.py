"""The same prediction elsewhere: commands and code to copy, for the checkpoint and the picture in question.

Names of files come from anywhere, so each is quoted for the place it stands in.
"""

import shlex
from urllib.parse import quote, urlsplit, urlunsplit

from digitcore.models.checkpoints import SUFFIXES, Checkpoint

__all__ = ["command_line", "curl_command", "python_code"]


def curl_command(checkpoint: Checkpoint, *, file: str, address: str, number: bool = False) -> str:
    """Asks the HTTP API of the server with this address, of which any query is left out. For a POSIX shell.

    With `number`, for all the digits on the picture; likewise below.
    """
    scheme, host, path, _, _ = urlsplit(address)
    query = f"checkpoint={quote(checkpoint.name, safe='', errors='surrogateescape')}"
    query += "&mode=number" if number else ""
    endpoint = urlunsplit((scheme, host, f"{path.rstrip('/')}/predict", query, ""))
    return f"curl -F {shlex.quote(f'image=@{file}')} {shlex.quote(endpoint)}"


def command_line(checkpoint: Checkpoint, *, file: str, number: bool = False) -> str:
    """Asks the command line, in the project's folder. For a POSIX shell."""
    chosen = shlex.quote(f"--checkpoint={_reference(checkpoint)}")
    mode = " --number" if number else ""
    return f".venv/bin/python -m digitcore predict {shlex.quote(file)}{mode} {chosen} --json"


def python_code(checkpoint: Checkpoint, *, file: str, number: bool = False) -> str:
    """Prints digit, or number, and confidence, having made sure that the weights are the same."""
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
    is_taken_for_file = checkpoint.name.endswith(SUFFIXES) and checkpoint.path is not None
    return str(checkpoint.path) if is_taken_for_file else checkpoint.name
