"""`digitcore train`, `join` and `calibrate`: what makes checkpoints."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from digitcore.data.datasets import CHOOSING, load_digits
from digitcore.files import temporary_folder, write_atomically
from digitcore.formats.endings import stem_of
from digitcore.models.checkpoints import save_checkpoint
from digitcore.models.classifier import DigitClassifier, load_classifier
from digitcore.models.library import load_checkpoint
from digitcore.models.refusal import REFUSAL_SCORES, RefusalScore
from digitcore.serving.cli_common import FILE, WholeNumber, has_checkpoint_suffix, naming
from digitcore.settings import load_settings
from digitcore.training.calibration import REFUSAL_SCORE, choose_refusal_threshold, fit_temperature
from digitcore.training.distributed import is_first_process
from digitcore.training.ensembling import build_ensemble
from digitcore.training.fine_tuning import FineTuned, TuningProgress, fine_tune, own_digits
from digitcore.training.fine_tuning_jobs import free_name
from digitcore.training.loop import EpochResult, StepResult, train
from digitcore.training.material import load_material
from digitcore.training.recipes import load_recipe, recipe_names

__all__ = ["calibrate_command", "join_command", "train_command"]

_LARGEST_SEED = 2**63 - 1  # that torch and NumPy both take


def _recipe_help() -> str:
    return "; ".join(f"{name}: {load_recipe(name).summary}" for name in recipe_names())


@click.command("train", short_help="train a network")
@click.argument("recipe_name", type=click.Choice(recipe_names()), required=False, metavar="RECIPE", help=_recipe_help())
@click.option("--from", "start_name", metavar="NAME", help="Fine-tune this checkpoint instead; needs --data.")
@click.option("--data", "dataset", metavar="SET", help="A set that was added, or handwriting: it learns from it.")
@click.option("--keep", is_flag=True, help="Write the fine-tuned checkpoint even if it is not clearly better.")
@click.option("--seed", type=WholeNumber(0, _LARGEST_SEED), default=0, metavar="N", help="From 0 on (default: 0).")
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto).")
@click.option("--output", type=FILE, metavar="FILE", help="Default: weights/RECIPE.safetensors, or NAME-mine.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
def train_command(
    recipe_name: str | None,
    start_name: str | None,
    dataset: str | None,
    keep: bool,
    seed: int,
    device: str,
    output: Path | None,
    resume: bool,
) -> int:
    """Trains a network, follows it on mnist-validation, and keeps the weights of the last epoch.

    With --from and --data: a checkpoint learns from two thirds of a set of one's own, mixed with MNIST, and is compared
    with what it was on the rest and on MNIST. It is written where it is clearly better.
    """
    if start_name and dataset and not recipe_name:
        return _fine_tune(start_name, dataset, output=output, seed=seed, keep=keep)
    if start_name or dataset or not recipe_name:
        raise click.UsageError("Name a RECIPE, or --from and --data.")
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


def _fine_tune(start_name: str, dataset: str, *, output: Path | None, seed: int, keep: bool) -> int:
    start = load_checkpoint(start_name)
    folder = load_settings().weights_directory
    name = free_name(start.name, [stem_of(path.name) for path in folder.glob("*")])
    output = output or folder / f"{name}.safetensors"
    if not has_checkpoint_suffix(output):
        return 2
    own, sessions = own_digits(dataset)
    with temporary_folder() as unfinished:
        tried = unfinished / output.name
        validation = load_digits("mnist-validation")
        for result in fine_tune(start, own, sessions, output=tried, validation=validation, seed=seed):
            if isinstance(result, TuningProgress):
                print(_in_words(result), file=sys.stderr)
            else:
                _print_verdict(result)
                is_kept = keep or result.is_better
        if not is_kept:
            print("Nothing is written: --keep writes it all the same.")
            return 0
        with naming(output):
            write_atomically(output, tried.read_bytes())
    print(output)
    return 0


def _in_words(progress: TuningProgress) -> str:
    return (
        f"step {progress.step}/{progress.steps}: {progress.own_errors} errors in {progress.own_digits:,} own digits, "
        f"{progress.validation_errors} in {progress.validation_digits:,} validation digits"
    )


def _print_verdict(result: FineTuned) -> None:
    for comparison in (result.own, result.validation, result.test):
        if comparison is not None:
            low, high = comparison.interval
            print(
                f"{comparison.dataset}: {comparison.verdict}. Difference in accuracy {comparison.difference:+.2%} "
                f"(95% interval {low:+.2%} to {high:+.2%})"
            )
    if result.divided_writers:
        print("Of a single session the last digits of each kind are held out.")
    if result.known == result.validation.dataset:
        print(f"MNIST is not on this machine: it learned from {result.known}, whose errors say little now.")


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
