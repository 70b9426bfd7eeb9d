"""`digitcore train`, `join` and `calibrate`: what makes checkpoints."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from digitcore.data.datasets import CHOOSING, load_digits
from digitcore.models.checkpoints import save_checkpoint
from digitcore.models.classifier import DigitClassifier, load_classifier
from digitcore.models.refusal import REFUSAL_SCORES, RefusalScore
from digitcore.serving.cli_common import FILE, WholeNumber, has_checkpoint_suffix
from digitcore.settings import load_settings
from digitcore.training.calibration import REFUSAL_SCORE, choose_refusal_threshold, fit_temperature
from digitcore.training.distributed import is_first_process
from digitcore.training.ensembling import build_ensemble
from digitcore.training.loop import EpochResult, StepResult, train
from digitcore.training.material import load_material
from digitcore.training.recipes import load_recipe, recipe_names

__all__ = ["calibrate_command", "join_command", "train_command"]

_LARGEST_SEED = 2**63 - 1  # that torch and NumPy both take


def _recipe_help() -> str:
    return "; ".join(f"{name}: {load_recipe(name).summary}" for name in recipe_names())


@click.command("train", short_help="train a network")
@click.argument("recipe_name", type=click.Choice(recipe_names()), metavar="RECIPE", help=_recipe_help())
@click.option("--seed", type=WholeNumber(0, _LARGEST_SEED), default=0, metavar="N", help="From 0 on (default: 0).")
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto).")
@click.option("--output", type=FILE, metavar="FILE", help="Default: weights/RECIPE.safetensors.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
def train_command(recipe_name: str, seed: int, device: str, output: Path | None, resume: bool) -> int:
    """Trains a network, follows it on mnist-validation, and keeps the weights of the last epoch."""
    recipe = load_recipe(recipe_name)
    output = output or load_settings().weights_directory / f"{recipe.name}.safetensors"
    if not has_checkpoint_suffix(output):
        return 2
    state_file = load_settings().cache_directory / "training" / f"{output.stem}-{recipe.name}-{seed}.pt"
    if resume and is_first_process() and not state_file.exists():
        print(f"{state_file} is not there: nothing to go on with, starting anew.", file=sys.stderr)
    results = train(
        recipe,
        training=load_material(recipe.material),
        validation=load_digits("mnist-validation"),
        output=output,
        seed=seed,
        device=device,
        state_file=state_file,
        resume=resume,
    )
    try:
        _show_training(results)
    except KeyboardInterrupt:
        if is_first_process() and state_file.exists():
            print("Go on with the same command and --resume.", file=sys.stderr)
        raise
    if is_first_process():
        print(output)
    return 0


def _show_training(results: Iterable[StepResult | EpochResult]) -> None:
    bar_format = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
    with tqdm(total=100, unit="%", bar_format=bar_format, disable=not is_first_process()) as bar:
        for result in results:
            if isinstance(result, StepResult):
                bar.set_description(f"epoch {result.epoch}/{result.epochs}", refresh=False)
                bar.update(result.done * 100 - bar.n)
            else:
                bar.set_postfix_str(f"loss {result.train_loss:.4f}, {result.validation_errors} validation errors")


@click.command("join", short_help="make one checkpoint of several")
@click.argument("output", type=FILE, metavar="FILE", help="The checkpoint to write.")
@click.argument("members", nargs=-1, required=True, metavar="NAME...", help="Names under weights/, or paths.")
def join_command(output: Path, members: tuple[str, ...]) -> int:
    """Makes one checkpoint of several of the same architecture.

    It answers with the mean of their calibrated logits. Temperature and refusal threshold are fitted on
    mnist-validation.
    """
    if not has_checkpoint_suffix(output):
        return 2
    build_ensemble(members, validation=load_digits("mnist-validation"), output=output)
    print(output)
    return 0


@click.command("calibrate", short_help="fit temperature and refusal threshold")
@click.argument("name", help="A name under weights/, or a path.")
@click.option("--score", type=click.Choice(REFUSAL_SCORES), default=REFUSAL_SCORE, help=f"Default: {REFUSAL_SCORE}.")
@click.option(
    "--on",
    "datasets",
    multiple=True,
    type=click.Choice(CHOOSING),
    metavar="SET",
    help=f"Fit the temperature on these digits too: {' or '.join(CHOOSING)}; may be repeated. Default: it stays.",
)
@click.option("--output", type=FILE, metavar="FILE", help="Default: the file itself.")
def calibrate_command(name: str, score: RefusalScore, datasets: tuple[str, ...], output: Path | None) -> int:
    """Fits the temperature of a checkpoint, chooses its refusal threshold anew, and writes the checkpoint with both.

    For drawings: --on pen-validation. With the threshold 0.8% of the digits of mnist-validation are refused.
    """
    classifier = load_classifier(name)
    checkpoint = classifier.checkpoint
    output = output or checkpoint.path
    assert output is not None  # it was read from there
    if not has_checkpoint_suffix(output):
        return 2
    factor = _fitted_factor(classifier, datasets)
    logits = classifier.logits(load_digits("mnist-validation").images)
    metadata = replace(
        checkpoint.metadata,
        temperature=checkpoint.metadata.temperature * factor,
        refusal_score=score,
        refusal_threshold=choose_refusal_threshold(logits, temperature=factor, score=score),
        provenance={
            **checkpoint.metadata.provenance,
            "chosen_on": list(dict.fromkeys((*checkpoint.metadata.chosen_on, "mnist-validation", *datasets))),
        },
    )
    save_checkpoint(output, checkpoint.network, metadata)
    print(
        f"{output}: temperature {metadata.temperature:.4g}, refused where the {score} is below "
        f"{metadata.refusal_threshold:.4g}"
    )
    return 0


def _fitted_factor(classifier: DigitClassifier, datasets: Sequence[str]) -> float:
    """What the temperature has to be multiplied by to fit these digits, each set counting by its size; 1 for none."""
    if not datasets:
        return 1.0
    sets = [load_digits(dataset) for dataset in datasets]
    logits = np.concatenate([classifier.logits(digits.images) for digits in sets])  # the temperature has divided them
    return fit_temperature(logits, np.concatenate([digits.labels for digits in sets]))
