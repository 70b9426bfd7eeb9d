"""`digitcore predict`."""

import json
import sys
from typing import Any

import click

from digitcore.errors import DigitcoreError
from digitcore.imaging.preprocessing import read_image
from digitcore.models.classifier import DigitClassifier
from digitcore.serving.answers import Mode, answer_for
from digitcore.serving.cli_common import checkpoint_option, json_option, named_classifier, print_error

__all__ = ["predict_command"]


@click.command("predict", short_help="read the digit or number in each picture")
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE...", help="Pictures of a digit or a number; - for standard input."
)
@checkpoint_option
@click.option("--digit", "mode", flag_value="digit", help="Read each picture as one digit (default: as what it shows).")
@click.option("--number", "mode", flag_value="number", help="Read each as a number, line by line, from left to right.")
@json_option
def predict_command(images: tuple[str, ...], checkpoint_name: str | None, mode: Mode | None, as_json: bool) -> int:
    """Reads the digit in each picture or, where it shows several, the number."""
    classifier = named_classifier(checkpoint_name)
    answers: list[dict[str, Any]] = []
    status = 0
    for name in images:
        try:
            answer = {"file": name} | _answer(classifier, name, mode=mode)
        except DigitcoreError as error:
            status = print_error(error if str(error).startswith(name) else type(error)(f"{name}: {error}"))
            continue
        answers.append(answer)
        if not as_json:
            print(_in_words(answer), flush=True)
    if as_json:
        print(json.dumps(answers))
    return status


def _answer(classifier: DigitClassifier, name: str, *, mode: Mode | None) -> dict[str, Any]:
    image = read_image(sys.stdin.buffer, name="standard input") if name == "-" else read_image(name)
    return answer_for(classifier, image, mode=mode)


def _in_words(answer: dict[str, Any]) -> str:
    digits = answer["number"] if "number" in answer else answer["prediction"]
    doubt = "" if answer["accepted"] else f"  ({answer['reason']})"
    return f"{answer['file']}: {digits}  {answer['confidence']:.1%}{doubt}"
