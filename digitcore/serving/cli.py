"""The command line: `python -m digitcore COMMAND`.

Results go to standard output, with `--json` as one JSON array; progress and errors go to standard error. Exit status
0; 1 for an input that could not be used, the others being answered all the same; 2 for wrong usage.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from tqdm import tqdm

from digitcore.data.datasets import dataset_names, download_mnist, is_available, load_digits
from digitcore.data.nondigits import FASHION_FOLDER
from digitcore.errors import CheckpointError, DigitcoreError
from digitcore.evaluation.bench import PARTS, Measurement, measure_all
from digitcore.evaluation.comparison import Comparison, cochran_q, compare, compare_pairs
from digitcore.evaluation.evaluation import (
    Evaluation,
    load_or_evaluate,
    save_evaluation,
    shipped_evaluations,
    summarize,
)
from digitcore.evaluation.manifest import write_manifest
from digitcore.files import write_atomically
from digitcore.imaging.preprocessing import read_image
from digitcore.models.checkpoints import save_checkpoint
from digitcore.models.classifier import DigitClassifier, load_classifier
from digitcore.models.export import FORMATS, export_network
from digitcore.models.library import CheckpointEntry, CheckpointLibrary, UnusableCheckpoint, UsableCheckpoint
from digitcore.models.numbers import read_number
from digitcore.models.refusal import REFUSAL_SCORES
from digitcore.reports.cards import write_cards
from digitcore.serving.answers import digit_answer, number_answer
from digitcore.settings import load_settings
from digitcore.training.benchmark import TrainingRun, benchmark_recipe, describe_runs
from digitcore.training.calibration import REFUSAL_SCORE, choose_refusal_threshold
from digitcore.training.distributed import is_first_process
from digitcore.training.ensembling import build_ensemble
from digitcore.training.loop import EpochResult, StepResult, train
from digitcore.training.material import load_material
from digitcore.training.recipes import load_recipe, recipe_names

__all__ = ["main"]

_SEEDS = 2**63  # as many as torch and NumPy both take


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command (default: the process's arguments) and returns its exit status."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        status = command(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # who read the results has gone; without this Python would try to write the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except DigitcoreError as error:
        return _failed(error)
    except ValueError as error:
        if not str(error).startswith("DIGITCORE_"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m digitcore", description="Handwritten-digit recognition.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", help="read the digit in each picture", description=_predict.__doc__)
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="a picture of one digit; - for standard input")
    predict.add_argument("--checkpoint", metavar="NAME", help="a name under weights/, or a path (default: world)")
    predict.add_argument(
        "--number", action="store_true", help="read all digits of each picture, line by line, from left to right"
    )
    predict.set_defaults(command=_predict)

    evaluate = commands.add_parser("evaluate", help="figures of checkpoints", description=_evaluate.__doc__)
    evaluate.add_argument(
        "names", nargs="*", metavar="NAME", help="names under weights/, or paths (default: all, as a leaderboard)"
    )
    evaluate.add_argument("--dataset", choices=dataset_names(), default="mnist-test")
    evaluate.add_argument(
        "--ship", action="store_true", help="keep the evaluation beside the weights and bring weights/manifest.json up"
    )
    evaluate.set_defaults(command=_evaluate)

    compare = commands.add_parser("compare", help="which checkpoint is better", description=_compare.__doc__)
    compare.add_argument("a", metavar="A", help="a name under weights/, or a path")
    compare.add_argument("b", metavar="B", help="another")
    compare.add_argument("more", nargs="*", metavar="C", help="more of them: every pair is compared")
    compare.add_argument("--dataset", choices=dataset_names(), default="mnist-test")
    compare.add_argument(
        "--report", type=Path, metavar="FILE", help="also write a report of A against B: one HTML file"
    )
    compare.set_defaults(command=_compare)

    bench = commands.add_parser("bench", help="measure what the project claims", description=_bench.__doc__)
    bench.add_argument("--checkpoint", metavar="NAME", help="a name under weights/, or a path (default: world)")
    bench.add_argument(
        "--drawings", type=_positive, default=2498, metavar="N", help="pen digits a brush (default: all)"
    )
    bench.add_argument("--only", choices=PARTS, help="one part of it (default: all)")
    bench.add_argument(
        "--fashion",
        type=Path,
        default=FASHION_FOLDER,
        metavar="FOLDER",
        help="files of Fashion-MNIST (default: %(default)s)",
    )
    bench.add_argument("--recipe", choices=recipe_names(), metavar="RECIPE", help="measure the training of it instead")
    bench.add_argument("--runs", type=_positive, default=5, metavar="N", help="trainings, from seed 0 on (default: 5)")
    bench.set_defaults(command=_bench)
    for with_json in (predict, evaluate, compare, bench):
        with_json.add_argument("--json", action="store_true", help="print one JSON array")

    training = commands.add_parser("train", help="train a network", description=_train.__doc__)
    training.add_argument("recipe", choices=recipe_names(), metavar="RECIPE", help=_recipe_help())
    training.add_argument("--seed", type=_seed, default=0, metavar="N", help="from 0 on (default: 0)")
    training.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    training.add_argument("--output", type=Path, metavar="FILE", help="default: weights/RECIPE.safetensors")
    training.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    training.set_defaults(command=_train)

    joining = commands.add_parser("join", help="make one checkpoint of several", description=_join.__doc__)
    joining.add_argument("output", type=Path, metavar="FILE", help="the checkpoint to write")
    joining.add_argument("members", nargs="+", metavar="NAME", help="names under weights/, or paths")
    joining.set_defaults(command=_join)

    calibrate = commands.add_parser("calibrate", help="choose a refusal threshold", description=_calibrate.__doc__)
    calibrate.add_argument("name", metavar="NAME", help="a name under weights/, or a path")
    calibrate.add_argument("--score", choices=REFUSAL_SCORES, default=REFUSAL_SCORE, help="default: %(default)s")
    calibrate.add_argument("--output", type=Path, metavar="FILE", help="default: the file itself")
    calibrate.set_defaults(command=_calibrate)

    cards = commands.add_parser("cards", help="a card for each checkpoint", description=_cards.__doc__)
    cards.set_defaults(command=_cards)

    download = commands.add_parser("download", help="fetch MNIST", description=_download.__doc__)
    download.set_defaults(command=_download)

    export = commands.add_parser("export", help="write a network for other programs", description=_export.__doc__)
    export.add_argument("name", metavar="NAME", help="a name under weights/, or a path")
    export.add_argument("--format", choices=FORMATS, required=True)
    export.add_argument("--output", type=Path, required=True, metavar="FILE")
    export.set_defaults(command=_export)
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < _SEEDS:
        raise argparse.ArgumentTypeError(f"must be from 0 to {_SEEDS - 1}, got {text}")
    return value


def _recipe_help() -> str:
    return "; ".join(f"{name}: {load_recipe(name).summary}" for name in recipe_names())


def _predict(options: argparse.Namespace) -> int:
    """Reads the digit in each picture, or with --number all its digits."""
    classifier = load_classifier(options.checkpoint) if options.checkpoint else _default_classifier()
    answers: list[dict[str, Any]] = []
    status = 0
    for name in options.images:
        try:
            image = read_image(sys.stdin.buffer, name="standard input") if name == "-" else read_image(name)
            if options.number:
                answer = number_answer(read_number(classifier, image))
            else:
                answer = digit_answer(classifier.predict(image))
        except DigitcoreError as error:
            status = _failed(error if str(error).startswith(name) else type(error)(f"{name}: {error}"))
            continue
        answers.append({"file": name} | answer)
        if not options.json:
            doubt = "" if answer["accepted"] else f"  ({answer['reason']})"
            said = answer["number"] if options.number else answer["prediction"]
            print(f"{name}: {said}  {answer['confidence']:.1%}{doubt}", flush=True)
    if options.json:
        print(json.dumps(answers))
    return status


def _default_classifier() -> DigitClassifier:
    library = CheckpointLibrary(load_settings().weights_directory)
    return DigitClassifier(library.load(library.default_name()))


def _evaluate(options: argparse.Namespace) -> int:
    """Prints accuracy with its 95 % Wilson interval, log loss (nll) and calibration error (ece). Kept results are
    used where the weights and the digits have not changed. Without names all checkpoints, best first; those that
    cannot be used are listed with the reason.
    """
    entries = [] if options.names else _entries()
    names = options.names or [entry.name for entry in entries if isinstance(entry, UsableCheckpoint)]
    rows: list[dict[str, Any]] = []
    status = 0
    for name in names:
        try:
            rows.append(_figures(load_classifier(name), options.dataset, ship=options.ship))
        except DigitcoreError as error:
            status = _failed(error)
    if not options.names:
        rows.sort(key=lambda row: (row["errors"], row["nll"]))
    for entry in entries:
        if isinstance(entry, UnusableCheckpoint):
            print(f"not used: {entry.problem}", file=sys.stderr)
    if options.ship:
        with _writing(load_settings().weights_directory):
            write_manifest(load_settings().weights_directory)
    if options.json:
        print(json.dumps(rows))
    else:
        _print_table(rows)
    return status


def _evaluate_with_progress(classifier: DigitClassifier, dataset: str) -> Evaluation:
    with tqdm(total=100, desc=f"{classifier.checkpoint.name} on {dataset}", unit="%", leave=False) as bar:
        return load_or_evaluate(classifier, dataset, progress=lambda done: _set_progress(bar, round(done * 100)))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Names the file or folder that cannot be written to."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error


def _entries() -> list[CheckpointEntry]:
    """All checkpoints of the weights folder, of which there must be one."""
    directory = load_settings().weights_directory
    entries = CheckpointLibrary(directory).entries()
    if not entries:
        raise CheckpointError(f"There is no checkpoint in {directory}: train one, or set DIGITCORE_WEIGHTS.")
    return entries


def _figures(classifier: DigitClassifier, dataset: str, *, ship: bool) -> dict[str, Any]:
    evaluation = _evaluate_with_progress(classifier, dataset)
    if ship:
        with _writing(shipped_evaluations()):
            save_evaluation(evaluation, shipped_evaluations())
    return asdict(summarize(evaluation)) | {
        "parameters": classifier.checkpoint.parameters,
        "trained_on": list(classifier.checkpoint.metadata.trained_on),
    }


def _compare(options: argparse.Namespace) -> int:
    """Says which checkpoint is better on the same digits, and how sure that is: exact McNemar test (mid-p), and Tango's
    95 % interval of the difference in accuracy. Of more than two, p is corrected for the number of pairs (Holm).
    """
    classifiers = [load_classifier(name) for name in (options.a, options.b, *options.more)]
    evaluations = [_evaluate_with_progress(classifier, options.dataset) for classifier in classifiers]
    if options.report is not None:
        _write_report(classifiers, evaluations, options.report)
    pairs = compare_pairs(evaluations)
    comparisons = [
        replace(compare(one, other), verdict=verdict)  # of more than two, corrected
        for (one, other), verdict in zip(combinations(evaluations, 2), pairs["verdict"].tolist(), strict=True)
    ]
    corrected = pairs["holm_p"].tolist()
    if options.json:
        rows = [asdict(each) | {"holm_p": p} for each, p in zip(comparisons, corrected, strict=True)]
        print(json.dumps(rows))
        return 0
    for classifier in classifiers:
        if options.dataset in classifier.checkpoint.metadata.trained_on:
            print(f"{classifier.checkpoint.name} was trained on these digits: figures on them say little.")
    for comparison, p in zip(comparisons, corrected, strict=True):
        _print_comparison(comparison, corrected_p=p if options.more else None)
    if options.more:
        overall = cochran_q(evaluations)
        print(f"All together: Cochran's Q = {overall.statistic:.2f}, p = {overall.p:.2g}")
    return 0


def _print_comparison(comparison: Comparison, *, corrected_p: float | None) -> None:
    low, high = comparison.interval
    correction = "" if corrected_p is None else f", corrected for the number of pairs {corrected_p:.2g}"
    print(
        f"{comparison.a} against {comparison.b} on {comparison.digits:,} digits of {comparison.dataset}\n"
        f"  {comparison.verdict}.\n"
        f"  both right {comparison.both_right:,}, only {comparison.a} {comparison.only_a:,}, "
        f"only {comparison.b} {comparison.only_b:,}, neither {comparison.neither:,}\n"
        f"  accuracy of {comparison.b} less that of {comparison.a}: {100 * comparison.difference:+.2f} points "
        f"(95 % interval {100 * low:+.2f} to {100 * high:+.2f}), mid-p {comparison.mid_p:.2g}{correction}"
    )


def _write_report(classifiers: Sequence[DigitClassifier], evaluations: Sequence[Evaluation], path: Path) -> None:
    from digitcore.reports.report import comparison_report  # here: drawing charts takes a second to import

    dataset = evaluations[0].dataset
    text = comparison_report(
        classifiers[0].checkpoint,
        classifiers[1].checkpoint,
        evaluations[0],
        evaluations[1],
        pictures=load_digits(dataset) if is_available(dataset) else None,
    )
    with _writing(path):
        write_atomically(path, text.encode())
    print(path, file=sys.stderr)


def _set_progress(bar: "tqdm[Any]", done: int) -> None:
    bar.update(done - bar.n)


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    heads = ("checkpoint", "dataset", "digits", "errors", "accuracy", "95 % interval", "nll", "ece", "parameters")
    lines = [heads] + [
        (
            row["checkpoint"],
            row["dataset"] + (" (seen in training)" if row["dataset"] in row["trained_on"] else ""),
            f"{row['digits']:,}",
            f"{row['errors']:,}",
            f"{row['accuracy']:.2%}",
            f"{row['interval'][0]:.2%} - {row['interval'][1]:.2%}",
            f"{row['nll']:.4f}",
            f"{row['ece']:.4f}",
            f"{row['parameters']:,}",
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _train(options: argparse.Namespace) -> int:
    """Trains a network, follows it on mnist-validation, and keeps the weights of the last epoch."""
    recipe = load_recipe(options.recipe)
    output = options.output or load_settings().weights_directory / f"{recipe.name}.safetensors"
    if not _is_ours(output):
        return 2
    state_file = load_settings().cache_directory / "training" / f"{output.stem}-{recipe.name}-{options.seed}.pt"
    if options.resume and is_first_process() and not state_file.exists():
        print(f"{state_file} is not there: nothing to go on with, starting anew.", file=sys.stderr)
    results = train(
        recipe,
        training=load_material(recipe.material),
        validation=load_digits("mnist-validation"),
        output=output,
        seed=options.seed,
        device=options.device,
        state_file=state_file,
        resume=options.resume,
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


def _is_ours(output: Path) -> bool:
    """Whether a checkpoint can be written there; says so if not."""
    if output.suffix == ".safetensors":
        return True
    print(f"{output} must end in .safetensors: name another output; `export` writes other formats.", file=sys.stderr)
    return False


def _join(options: argparse.Namespace) -> int:
    """Makes one checkpoint of several of the same architecture: it answers with the mean of their calibrated logits.
    Temperature and refusal threshold are fitted on mnist-validation.
    """
    if not _is_ours(options.output):
        return 2
    build_ensemble(options.members, validation=load_digits("mnist-validation"), output=options.output)
    print(options.output)
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


def _calibrate(options: argparse.Namespace) -> int:
    """Chooses the refusal threshold of a checkpoint anew, so that 0.8 % of the digits of mnist-validation are refused,
    and writes the checkpoint with it.
    """
    classifier = load_classifier(options.name)
    checkpoint = classifier.checkpoint
    output = options.output or checkpoint.path
    assert output is not None  # it was read from there
    if not _is_ours(output):
        return 2
    logits = classifier.logits(load_digits("mnist-validation").images)
    threshold = choose_refusal_threshold(logits, temperature=1.0, score=options.score)  # they are divided by it already
    metadata = replace(checkpoint.metadata, refusal_score=options.score, refusal_threshold=threshold)
    save_checkpoint(output, checkpoint.network, metadata)
    print(f"{output}: refused where the {options.score} is below {threshold:.4g}")
    return 0


def _cards(options: argparse.Namespace) -> int:
    """Writes README.md in the weights folder: what each checkpoint is for, how good, how limited, and how made."""
    directory = load_settings().weights_directory
    _entries()
    with _writing(directory):
        print(write_cards(directory))
    return 0


def _download(options: argparse.Namespace) -> int:
    """Fetches the four MNIST files into the data folder and verifies them."""
    with tqdm(total=100, desc="MNIST", unit="%") as bar:
        for done in download_mnist():
            _set_progress(bar, round(done * 100))
    return 0


def _export(options: argparse.Namespace) -> int:
    """Writes the network, from a normalised batch (N, 1, 28, 28) to logits (N, 10), for programs without digitcore."""
    export_network(load_classifier(options.name).checkpoint, options.output, file_format=options.format)
    print(options.output)
    return 0


def _bench(options: argparse.Namespace) -> int:
    """Prints times with their ratio to a matrix product in the same run, accuracy on drawn digits, and the share that
    is refused of digits and of what is none: letters, scribbles, doodles, noise, fashion items. With --recipe: how
    soon its training is right on 99 % of the validation digits, and what it ends with, a seed a run.
    """
    if options.recipe:
        return _bench_training(options)
    classifier = load_classifier(options.checkpoint) if options.checkpoint else _default_classifier()
    rows: list[dict[str, Any]] = []
    status = 0
    try:
        parts = (options.only,) if options.only else PARTS
        for measurement in measure_all(
            classifier, parts=parts, drawings=options.drawings, fashion_folder=options.fashion
        ):
            rows.append(asdict(measurement))
            if not options.json:
                _print_measurement(measurement)
    except DigitcoreError as error:
        status = _failed(error)
    if options.json:
        print(json.dumps(rows))
    return status


def _bench_training(options: argparse.Namespace) -> int:
    runs: list[TrainingRun] = []
    for run in benchmark_recipe(load_recipe(options.recipe), runs=options.runs):
        runs.append(run)
        if not options.json:
            print(f"seed {run.seed}: {describe_runs([run])}", flush=True)
    if options.json:
        print(json.dumps([asdict(run) for run in runs]))
    else:
        print(f"mean of {len(runs)}: {describe_runs(runs)}")
    return 0


def _print_measurement(measurement: Measurement) -> None:
    line = f"{measurement.name}: {measurement.value:.4g} {measurement.unit}"
    if measurement.interval is not None:
        line += " (95 % interval {:.4f} to {:.4f})".format(*measurement.interval)
    if measurement.ratio is not None:
        line += f" ({measurement.ratio:.4g} x the yardstick)"
    print(line, flush=True)


def _failed(error: DigitcoreError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 1
