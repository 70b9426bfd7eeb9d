"""The same prediction elsewhere: commands and code to copy, for the checkpoint and the picture in question.

Names of files come from anywhere, so each is quoted for the place it stands in.
"""

import shlex
from urllib.parse import quote, urlsplit, urlunsplit

from digitcore.checkpoints import SUFFIXES, Checkpoint

__all__ = ["command_line", "curl_command", "python_code"]


def curl_command(checkpoint: Checkpoint, *, file: str, address: str) -> str:
    """Asks the HTTP API of the server with this address, of which any query is left out. For a POSIX shell."""
    scheme, host, path, _, _ = urlsplit(address)
    query = f"checkpoint={quote(checkpoint.name, safe='', errors='surrogateescape')}"
    endpoint = urlunsplit((scheme, host, f"{path.rstrip('/')}/predict", query, ""))
    return f"curl -F {shlex.quote(f'image=@{file}')} {shlex.quote(endpoint)}"


def command_line(checkpoint: Checkpoint, *, file: str) -> str:
    """Asks the command line, in the project's folder. For a POSIX shell."""
    chosen = shlex.quote(f"--checkpoint={_reference(checkpoint)}")
    return f".venv/bin/python -m digitcore predict {shlex.quote(file)} {chosen} --json"


def python_code(checkpoint: Checkpoint, *, file: str) -> str:
    """Prints digit and confidence, having made sure that the weights are the same."""
    return (
        "from PIL import Image\n\n"
        "import digitcore\n\n"
        f"classifier = digitcore.load_classifier({_reference(checkpoint)!r})\n"
        f'assert classifier.checkpoint.digest == (\n    "{checkpoint.digest}"\n)\n'
        f"prediction = classifier.predict(Image.open({file!r}))\n"
        "print(prediction.digit, prediction.confidence)\n"
    )


def _reference(checkpoint: Checkpoint) -> str:
    """What `load_checkpoint` finds it by: its name, or its file where the name would be taken for one."""
    is_taken_for_file = checkpoint.name.endswith(SUFFIXES) and checkpoint.path is not None
    return str(checkpoint.path) if is_taken_for_file else checkpoint.name
