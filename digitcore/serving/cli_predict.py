"""`digitcore predict`."""

import json
import sys
from typing import Any

import click

from digitcore.errors import DigitcoreError
from digitcore.imaging.preprocessing import read_image
from digitcore.models.classifier import DigitClassifier
from digitcore.models.numbers import read_number
from digitcore.serving.answers import digit_answer, number_answer
from digitcore.serving.cli_common import checkpoint_option, json_option, named_classifier, print_error

__all__ = ["predict_command"]


@click.command("predict", short_help="read the digit in each picture")
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE...", help="Pictures of one digit; - for standard input."
)
@checkpoint_option
@click.option("--number", is_flag=True, help="Read all digits of each picture, line by line, from left to right.")
@json_option
def predict_command(images: tuple[str, ...], checkpoint_name: str | None, number: bool, as_json: bool) -> int:
    """Reads the digit in each picture, or with --number all its digits."""
    classifier = named_classifier(checkpoint_name)
    answers: list[dict[str, Any]] = []
    status = 0
    for name in images:
        try:
            answer = {"file": name} | _answer(classifier, name, number=number)
        except DigitcoreError as error:
            status = print_error(error if str(error).startswith(name) else type(error)(f"{name}: {error}"))
            continue
        answers.append(answer)
        if not as_json:
            print(_in_words(answer), flush=True)
    if as_json:
        print(json.dumps(answers))
    return status


def _answer(classifier: DigitClassifier, name: str, *, number: bool) -> dict[str, Any]:
    image = read_image(sys.stdin.buffer, name="standard input") if name == "-" else read_image(name)
    if number:
        return number_answer(read_number(classifier, image))
    return digit_answer(classifier.predict(image))


def _in_words(answer: dict[str, Any]) -> str:
    digits = answer["number"] if "number" in answer else answer["prediction"]
    doubt = "" if answer["accepted"] else f"  ({answer['reason']})"
    return f"{answer['file']}: {digits}  {answer['confidence']:.1%}{doubt}"
