import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import digitcore
import digitcore.training.loop
from digitcore.data.datasets import DigitSet, load_digits
from digitcore.evaluation.metrics import log_loss
from digitcore.serving.cli import commands, main
from digitcore.settings import load_settings
from digitcore.store.annotations import Annotation, AnnotationStore
from digitcore.store.handwriting import HandwritingStore, HandwrittenDigit, new_key
from tests.paths import ROOT

Draw = Callable[..., NDArray[np.uint8]]
Encode = Callable[..., bytes]
Save = Callable[..., Path]


SHIPPED = load_settings().weights_directory / "compact.safetensors"


@pytest.fixture
def seven(tmp_path: Path, draw: Draw, encode: Encode) -> Path:
    path = tmp_path / "seven.png"
    path.write_bytes(encode(draw(7)))
    return path


@pytest.fixture
def blank(tmp_path: Path, encode: Encode) -> Path:
    path = tmp_path / "paper.png"
    path.write_bytes(encode(np.full((50, 50), 255, dtype=np.uint8)))
    return path


def _process(*arguments: str, standard_input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "digitcore", *arguments],
        input=standard_input,
        capture_output=True,
        cwd=ROOT,
        timeout=120,
    )


def test_predict_as_a_process(seven: Path) -> None:
    process = _process("predict", str(seven), "--json")
    assert (process.returncode, process.stderr) == (0, b"")
    (answer,) = json.loads(process.stdout)
    assert list(answer) == ["file", "prediction", "confidence", "probabilities", "accepted", "reason"]
    expected = digitcore.load_classifier("world").predict(digitcore.imaging.preprocessing.read_image(seven))
    assert (answer["file"], answer["prediction"]) == (str(seven), 7)
    assert answer["confidence"] == pytest.approx(expected.confidence, abs=1e-6)
    assert np.abs(answer["probabilities"] - expected.probabilities).max() < 1e-6
    assert answer["accepted"] == expected.accepted


@pytest.mark.slow
def test_standard_input_as_a_process(seven: Path) -> None:
    process = _process("predict", "-", standard_input=seven.read_bytes())
    assert process.returncode == 0
    assert process.stdout.startswith(b"-: 7  ")


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert main(["predict", "-"]) == 1
    assert "standard input is empty" in capsys.readouterr().err


WRONG_USAGE = [[], ["nosuch"], ["predict"], ["train", "nosuch"], ["evaluate", "--dataset", "nosuch"]]


@pytest.mark.parametrize("variable", ["DIGITCORE_MAX_IMAGE_BYTES", "DIGITCORE_MAX_CHECKPOINT_BYTES"])
def test_a_bad_setting_is_wrong_usage(
    seven: Path, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "20MB")
    assert main(["predict", str(seven)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"error: {variable} must be a positive whole number, got '20MB'\n"


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=" ".join)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("Usage: python -m digitcore")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["train", "--help"], ["--version"]], ids=" ".join)
def test_help_and_version_go_to_standard_output(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith("digitcore " if arguments == ["--version"] else "Usage: python -m digitcore")


def test_every_command_and_option_is_explained() -> None:
    context = click.Context(commands)
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        assert command is not None
        assert command.help, name
        assert command.short_help, name
        for parameter in command.params:
            assert parameter.help or parameter.name in {"dataset", "file_format", "output"}, (name, parameter.name)


@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1"])
def test_any_file_name_can_be_printed_in_any_locale(seven: Path, locale: str) -> None:
    """Spaces, umlauts and other scripts, and bytes that are not UTF-8; also where the locale has no such letters."""
    names = [os.fsencode(seven.with_name(name)) for name in ("meine sieben ß ü 七.png", "sieben \udcff.png")]
    for name in names:
        shutil.copy(os.fsencode(seven), name)
    # The encoding of a locale without umlauts, whether or not such a locale is installed:
    environment = {**os.environ, "LC_ALL": locale, "PYTHONIOENCODING": "ascii"}
    process = subprocess.run(
        [sys.executable, "-m", "digitcore", "predict", *names],
        capture_output=True,
        cwd=ROOT,
        timeout=120,
        env=environment,
    )
    assert (process.returncode, process.stderr) == (0, b"")
    assert [line.partition(b".png: ")[2][:1] for line in process.stdout.splitlines()] == [b"7", b"7"]


def test_predict_prints_a_line_a_picture(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(seven), str(seven)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert [line.split("  ")[0] for line in output.out.splitlines()] == [f"{seven}: 7"] * 2


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text("seven", encoding="utf-8")
    return path


def test_predict_reads_numbers(draw: Draw, encode: Encode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "number.png"
    file.write_bytes(encode(np.hstack([draw(digit) for digit in (4, 7, 1)])))
    assert main(["predict", "--number", "--json", str(file)]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["file"], answer["number"], len(answer["digits"])) == (str(file), "471", 3)
    assert set(answer["digits"][0]) == {"box", "prediction", "confidence", "probabilities", "accepted", "reason"}
    for options in ([], ["--number"]):
        assert main(["predict", *options, str(file)]) == 0
        assert capsys.readouterr().out.startswith(f"{file}: 471  {answer['confidence']:.1%}")
    assert main(["predict", "--digit", "--json", str(file)]) == 0
    (as_one,) = json.loads(capsys.readouterr().out)
    assert "number" not in as_one
    assert len(as_one["probabilities"]) == 10


def test_the_others_are_answered_where_one_cannot_be_used(
    seven: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.png"
    assert main(["predict", "--json", *map(str, [text, seven, missing, tmp_path, seven])]) == 1
    output = capsys.readouterr()
    assert [answer["prediction"] for answer in json.loads(output.out)] == [7, 7]
    lines = output.err.splitlines()
    assert [line.startswith("error: ") for line in lines] == [True] * 3
    for line, file in zip(lines, (text, missing, tmp_path), strict=True):
        assert str(file) in line


def test_an_error_names_the_file_however_short_its_name(
    tmp_path: Path, encode: Encode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    no_numbers = Image.fromarray(np.full((9, 9), np.nan, dtype=np.float32))
    (tmp_path / "picture").write_bytes(encode(no_numbers, "TIFF"))  # a word of the message itself
    assert main(["predict", "picture"]) == 1
    assert capsys.readouterr().err.startswith("error: picture: The picture contains NaN or infinity")


def test_json_is_an_array_even_where_nothing_was_read(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--json", str(text)]) == 1
    output = capsys.readouterr()
    assert json.loads(output.out) == []
    assert f"{text} cannot be read as a picture" in output.err


def test_a_refusal_is_an_answer(seven: Path, blank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--json", str(blank), str(seven)]) == 0
    refused, accepted = json.loads(capsys.readouterr().out)
    reason = "Blank: nothing stands out from the ground; draw or choose a digit"
    assert (refused["accepted"], refused["reason"]) == (False, reason)
    assert refused["prediction"] == int(np.argmax(refused["probabilities"]))
    assert (accepted["accepted"], accepted["reason"]) == (True, None)
    assert main(["predict", str(blank)]) == 0
    assert capsys.readouterr().out.endswith(f"%  ({reason})\n")


def test_doubt_is_shown(
    weights_folder: Path, save_random: Save, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_random(weights_folder / "one.safetensors", refusal_threshold=1.0)
    assert main(["predict", str(seven)]) == 0  # the default where there is no "compact"
    assert "(Not sure: probably " in capsys.readouterr().out


def test_calibrate_chooses_a_threshold_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "again.safetensors"
    assert main(["calibrate", "baseline", "--output", str(output)]) == 0
    assert "refused where the energy is below" in capsys.readouterr().out
    before, after = (digitcore.load_classifier(name).checkpoint for name in ("baseline", output))
    assert (before.metadata.refusal_score, after.metadata.refusal_score) == ("confidence", "energy")
    assert before.digest != after.digest
    assert main(["calibrate", "baseline", "--output", str(tmp_path / "again.pt")]) == 2


@pytest.mark.needs_pen_digits
@pytest.mark.usefixtures("cached_drawn_sets")
def test_calibrate_for_drawings(tmp_path: Path) -> None:
    """The temperature has the lowest log loss on the drawings that choose; the answers stay the same."""
    output = tmp_path / "again.safetensors"
    assert main(["calibrate", "compact", "--on", "pen-validation", "--output", str(output)]) == 0
    before, after = (digitcore.load_classifier(name) for name in ("compact", output))
    assert after.checkpoint.metadata.chosen_on == ("mnist-validation", "pen-validation")
    digits = digitcore.load_digits("pen-validation")
    logits = after.logits(digits.images)
    assert np.array_equal(logits.argmax(axis=1), before.logits(digits.images).argmax(axis=1))
    best = log_loss(digits.labels, logits)
    assert best < log_loss(digits.labels, before.logits(digits.images))
    assert all(best < log_loss(digits.labels, logits / np.float32(factor)) for factor in (0.9, 1.1))
    refused = [
        not prediction.accepted for prediction in after.predict_batch(list(load_digits("mnist-validation").images[::5]))
    ]
    assert np.mean(refused) <= 0.02


@pytest.mark.parametrize("dataset", ["mnist-test", "pen-digits"])
def test_nothing_is_fitted_on_digits_that_only_report(dataset: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["calibrate", "compact", "--on", dataset])
    assert stop.value.code == 2


@pytest.mark.parametrize("form", ["name", "path"])
def test_the_checkpoint_can_be_chosen(
    weights_folder: Path, save_random: Save, seven: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = save_random(weights_folder / "one.safetensors")
    assert main(["predict", "--json", "--checkpoint", "one" if form == "name" else str(path), str(seven)]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    expected = digitcore.load_classifier(path).predict(digitcore.imaging.preprocessing.read_image(seven))
    assert np.abs(answer["probabilities"] - expected.probabilities).max() < 1e-6


@pytest.mark.parametrize(("chosen", "words"), [("nosuch", "There is no checkpoint 'nosuch'"), ("bad", "bad.pt")])
def test_a_checkpoint_that_cannot_be_used(
    weights_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str], chosen: str, words: str
) -> None:
    (weights_folder / "bad.pt").write_bytes(b"no weights")
    for command in (
        ["predict", "--checkpoint", chosen, str(seven)],
        ["evaluate", chosen],
    ):
        assert main(command) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert words in output.err


def test_no_checkpoint_at_all(weights_folder: Path, seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(seven)]) == 1
    assert "no usable checkpoint" in capsys.readouterr().err
    assert main(["evaluate", "--json"]) == 1
    assert f"There is no checkpoint in {weights_folder}" in capsys.readouterr().err


@pytest.fixture
def two_checkpoints(weights_folder: Path, save_random: Save) -> Path:
    (weights_folder / "compact.safetensors").write_bytes(SHIPPED.read_bytes())
    save_random(weights_folder / "random.safetensors")
    return weights_folder


def test_evaluate_as_json(two_checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--dataset", "uci-digits", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["checkpoint"] for row in rows] == ["compact", "random"]
    wanted = {"checkpoint", "dataset", "digits", "errors", "accuracy", "interval", "nll", "ece", "parameters"}
    assert wanted <= set(rows[0])
    digits = digitcore.load_digits("uci-digits")
    evaluation = digitcore.evaluate(digitcore.load_classifier("compact"), digits)
    assert (rows[0]["dataset"], rows[0]["digits"], rows[0]["errors"]) == ("uci-digits", 1797, evaluation.errors)
    assert rows[0]["accuracy"] == 1 - evaluation.errors / 1797
    assert rows[0]["errors"] < 100 < rows[1]["errors"]


def test_evaluate_as_a_table_of_the_chosen_ones(
    two_checkpoints: Path, validation_digits: DigitSet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "random", "nosuch", "--dataset", "mnist-validation"]) == 1
    output = capsys.readouterr()
    head, row = output.out.splitlines()
    assert head.split()[:4] == ["checkpoint", "dataset", "digits", "errors"]
    assert row.split()[:3] == ["random", "mnist-validation", "5,000"]
    assert "error: There is no checkpoint 'nosuch'" in output.err


def test_evaluate_without_names_is_a_leaderboard(two_checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Best first whatever the names; a file that cannot be used is listed and is no failure of the others."""
    (two_checkpoints / "zzz.safetensors").write_bytes((two_checkpoints / "compact.safetensors").read_bytes())
    (two_checkpoints / "aaa.pt").write_bytes(b"nothing")
    assert main(["evaluate", "--dataset", "uci-digits"]) == 0
    output = capsys.readouterr()
    assert [line.split()[0] for line in output.out.splitlines()] == ["checkpoint", "compact", "zzz", "random"]
    assert "not used: " in output.err
    assert "aaa.pt" in output.err


def test_evaluate_gives_a_table_of_recipes(two_checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A checkpoint without a recipe is none of its rows."""
    assert main(["evaluate", "--dataset", "mnist-validation", "--recipes", "markdown"]) == 0
    head, _, row = capsys.readouterr().out.splitlines()
    assert head.startswith("| recipe | runs | errors | spread | least | most |")
    assert row.startswith("| compact | ")
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", "compact", "--recipes", "latex"])
    assert caught.value.code == 2
    assert "leave out names" in capsys.readouterr().err


def test_compare_as_json_says_what_python_says(two_checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "random", "compact", "--dataset", "uci-digits", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    digits = digitcore.load_digits("uci-digits")
    a, b = (digitcore.evaluate(digitcore.load_classifier(name), digits) for name in ("random", "compact"))
    expected = digitcore.compare(a, b)
    wanted = {"a", "b", "dataset", "digits", "both_right", "only_a", "only_b", "neither", "difference", "interval"}
    assert wanted | {"mid_p", "verdict"} <= set(answer)
    for name in wanted - {"interval"} | {"mid_p", "verdict"}:
        assert answer[name] == getattr(expected, name), name
    assert tuple(answer["interval"]) == expected.interval
    assert answer["holm_p"] == expected.mid_p
    assert answer["verdict"].startswith("compact is better")


def test_compare_in_words(two_checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "compact", "random", "--dataset", "uci-digits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "compact against random on 1,797 digits of uci-digits"
    assert lines[1].startswith("  compact is better: ")
    assert "corrected" not in lines[-1]


def test_compare_more_than_two(two_checkpoints: Path, save_random: Save, capsys: pytest.CaptureFixture[str]) -> None:
    save_random(two_checkpoints / "other.safetensors", seed=1)
    assert main(["compare", "compact", "random", "other", "--dataset", "uci-digits"]) == 0
    text = capsys.readouterr().out
    assert text.count(" against ") >= 3
    assert text.count("corrected for the number of pairs") == 3
    assert "Cochran's Q = " in text
    assert main(["compare", "compact", "random", "other", "--dataset", "uci-digits", "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [(answer["a"], answer["b"]) for answer in answers] == [
        ("compact", "random"), ("compact", "other"), ("random", "other"),
    ]  # fmt: skip


def test_compare_writes_a_report(
    two_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the stars and notes of the dashboard, or without where its database cannot be had."""
    address = f"sqlite:///{tmp_path / 'annotations.sqlite'}"
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", address)
    with closing(AnnotationStore(address)) as store:
        store.save("uci-digits", 5, Annotation(starred=True, note="<hooked>"))
    report = tmp_path / "new" / "report.html"
    assert main(["compare", "compact", "random", "--dataset", "uci-digits", "--report", str(report)]) == 0
    assert "compact is better" in report.read_text(encoding="utf-8")
    assert "&lt;hooked&gt;" in report.read_text(encoding="utf-8")
    assert str(report) in capsys.readouterr().err
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{report / 'annotations.sqlite'}")
    assert main(["compare", "compact", "random", "--dataset", "uci-digits", "--report", str(report)]) == 0
    assert "hooked" not in report.read_text(encoding="utf-8")
    assert "without stars and notes: Stars and notes cannot be stored in" in capsys.readouterr().err
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    blocked = tmp_path / "file" / "report.html"
    assert main(["compare", "compact", "random", "--dataset", "uci-digits", "--report", str(blocked)]) == 1
    assert "choose another place" in capsys.readouterr().err


def test_handwriting_is_evaluated_compared_and_exported(
    tmp_path: Path, validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All notebooks together, or one; with the pictures of its digits in the report."""
    address = f"sqlite:///{tmp_path / 'digitcore.sqlite'}"
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", address)
    assert main(["evaluate", "compact", "--dataset", "handwriting"]) == 1
    assert "Nothing has been written yet" in capsys.readouterr().err
    one, other = new_key(), new_key()
    with closing(HandwritingStore(address)) as store:
        for notebook, count in ((one, 30), (other, 20)):
            digits = [
                HandwrittenDigit(picture=image, label=int(label), source="draw", writer="Ann")
                for image, label in zip(validation_digits.images[:count], validation_digits.labels, strict=False)
            ]
            store.add(notebook, digits)
    for name, count in (("handwriting", 50), (f"handwriting:{other}", 20)):
        assert main(["evaluate", "compact", "--dataset", name, "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["dataset"], row["digits"]) == ("handwriting", count)
    report = tmp_path / "report.html"
    assert main(["compare", "mlp", "compact", "--dataset", f"handwriting:{other}", "--report", str(report)]) == 0
    assert "on 20 digits of handwriting" in capsys.readouterr().out
    assert report.is_file()
    assert main(["data", "export", f"handwriting:{one}", "--format", "npz", "--output", str(tmp_path / "a.npz")]) == 0
    assert len(np.load(tmp_path / "a.npz")["writer"]) == 30


def test_compare_with_what_is_not_there(two_checkpoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "compact", "nosuch", "--dataset", "uci-digits"]) == 1
    assert "error: There is no checkpoint 'nosuch'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["compare", "compact"])
    assert stopped.value.code == 2


def test_a_kept_evaluation_needs_no_digits(
    two_checkpoints: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "compact", "--dataset", "uci-digits", "--json"]) == 0
    first = capsys.readouterr().out
    cached_files = list((cache_folder / "evaluations").iterdir())
    assert [path.name.split("--")[:2] for path in cached_files] == [["compact", "uci-digits"]]
    monkeypatch.setattr(digitcore.evaluation.evaluation, "evaluate", None)
    assert main(["evaluate", "compact", "--dataset", "uci-digits", "--json"]) == 0
    assert capsys.readouterr().out == first


def test_missing_digits_are_an_error(
    two_checkpoints: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "random", "--json"]) == 1
    output = capsys.readouterr()
    assert json.loads(output.out) == []
    assert "python -m digitcore download" in output.err
    assert str(data_folder) in output.err


def test_a_cache_that_cannot_be_written_to_does_not_lose_the_figures(
    two_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in the way").write_text("", encoding="utf-8")
    monkeypatch.setenv("DIGITCORE_CACHE", str(tmp_path / "in the way"))
    assert main(["evaluate", "compact", "--dataset", "uci-digits", "--json"]) in (0, 1)  # but no traceback


def test_shipping_keeps_evaluations_and_brings_the_manifest_up(two_checkpoints: Path) -> None:
    assert main(["evaluate", "--dataset", "mnist-validation", "--ship"]) == 0
    assert sorted(path.name.split("--")[0] for path in (two_checkpoints / "evaluations").iterdir()) == [
        "compact",
        "random",
    ]
    manifest = json.loads((two_checkpoints / "manifest.json").read_text(encoding="utf-8"))
    assert list(manifest) == ["compact", "random"]
    assert manifest["compact"]["figures"]["mnist-validation"]["digits"] == 5_000
    (two_checkpoints / "random.safetensors").unlink()
    assert main(["evaluate", "--dataset", "mnist-validation", "--ship"]) == 0
    assert list(json.loads((two_checkpoints / "manifest.json").read_text(encoding="utf-8"))) == ["compact"]


def test_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "compact.pt"
    assert main(["export", "compact", "--format", "state-dict", "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert sum(value.numel() for value in torch.load(output, weights_only=True).values()) == 8_778


def test_export_of_nothing_or_to_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nosuch", "--format", "state-dict", "--output", str(tmp_path / "x.pt")]) == 1
    assert "There is no checkpoint 'nosuch'" in capsys.readouterr().err
    assert main(["export", "compact", "--format", "state-dict", "--output", str(tmp_path)]) == 1
    assert f"{tmp_path} cannot be written" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["export", "compact", "--format", "tflite", "--output", str(tmp_path / "x")])


def test_train_needs_the_training_digits(
    weights_folder: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "quick"]) == 1
    assert "python -m digitcore download" in capsys.readouterr().err
    assert list(weights_folder.iterdir()) == []


def test_train_writes_safetensors_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "quick", "--output", str(tmp_path / "x.pt")]) == 2
    assert "must end in .safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["a folder", "below a file"])
def test_a_place_for_the_result_is_looked_for_before_training(
    tmp_path: Path,
    validation_digits: DigitSet,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
) -> None:
    monkeypatch.setattr(digitcore.serving.cli_train, "load_digits", lambda name: validation_digits)
    monkeypatch.setattr(digitcore.serving.cli_train, "load_material", lambda names: validation_digits)
    monkeypatch.setattr(digitcore.training.loop, "_Trainer", None)  # calling it would fail
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    output = tmp_path / ("folder.safetensors" if place == "a folder" else "file/new.safetensors")
    assert main(["train", "quick", "--output", str(output)]) == 1
    assert f"error: {output} " in capsys.readouterr().err


def test_train_on_a_few_digits(
    tmp_path: Path,
    validation_digits: DigitSet,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = validation_digits.subset(np.arange(0, 5_000, 20))
    monkeypatch.setattr(digitcore.serving.cli_train, "load_digits", lambda name: few)  # MNIST takes a minute
    monkeypatch.setattr(digitcore.serving.cli_train, "load_material", lambda names: few)
    output = tmp_path / "new.safetensors"
    assert main(["train", "quick", "--seed", "3", "--output", str(output)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{output}\n"
    assert "validation errors" in captured.err
    assert digitcore.load_classifier(output).checkpoint.metadata.seed == 3
    training_files = sorted(path.name for path in (cache_folder / "training").iterdir())
    assert training_files == ["new-quick-3", "new-quick-3.csv"]  # and no state


def test_a_device_that_is_not_there(
    tmp_path: Path, validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(digitcore.serving.cli_train, "load_digits", lambda name: validation_digits)
    monkeypatch.setattr(digitcore.serving.cli_train, "load_material", lambda names: validation_digits)
    for device in ("cuda:99", "nosuch"):
        assert main(["train", "quick", "--device", device, "--output", str(tmp_path / "x.safetensors")]) == 1
        assert f"The device {device!r} is not there" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_named_before_training(
    tmp_path: Path, validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(digitcore.serving.cli_train, "load_digits", lambda name: validation_digits)
    monkeypatch.setattr(digitcore.serving.cli_train, "load_material", lambda names: validation_digits)
    monkeypatch.setattr(digitcore.training.loop, "_Trainer", None)  # calling it would fail
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("DIGITCORE_CACHE", str(tmp_path / "file"))
    assert main(["train", "quick", "--output", str(tmp_path / "x.safetensors")]) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path / 'file' / 'training'}" in error
    assert "set DIGITCORE_CACHE" in error


def test_a_training_that_is_interrupted_says_how_to_go_on(
    tmp_path: Path, validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = validation_digits.subset(np.arange(0, 5_000, 20))
    monkeypatch.setattr(digitcore.serving.cli_train, "load_digits", lambda name: few)
    monkeypatch.setattr(digitcore.serving.cli_train, "load_material", lambda names: few)
    output = tmp_path / "new.safetensors"

    def stopped(results: Iterable[object]) -> None:
        next(result for result in results if isinstance(result, digitcore.training.loop.EpochResult))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digitcore.serving.cli_train, "_show_training", stopped)
        assert main(["train", "quick", "--output", str(output)]) == 130
    assert capsys.readouterr().err == "Go on with the same command and --resume.\nStopped.\n"
    assert main(["train", "quick", "--output", str(output)]) == 1
    assert "go on with --resume" in capsys.readouterr().err
    assert main(["train", "quick", "--output", str(output), "--resume"]) == 0
    assert "epoch 2/2" in capsys.readouterr().err
    output.unlink()
    assert main(["train", "quick", "--output", str(output), "--resume"]) == 0
    assert "nothing to go on with" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "quick", "--seed", "-1"],
        ["train", "quick", "--seed", "1" * 23],
        ["bench", "--drawings", "0"],
        ["bench", "--recipe", "quick", "--runs", "-1"],
    ],
)
def test_numbers_out_of_range_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "must be" in capsys.readouterr().err


def test_answers_are_printed_as_they_come(
    seven: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = digitcore.serving.cli_predict.read_image

    def interrupted(name: str) -> Image.Image:
        if name == "second":
            raise KeyboardInterrupt
        return read(name)

    monkeypatch.setattr(digitcore.serving.cli_predict, "read_image", interrupted)
    assert main(["predict", str(seven), "second"]) == 130
    assert capsys.readouterr().out.startswith(f"{seven}: 7")


def test_nobody_reads_the_results(seven: Path) -> None:
    code = f"{sys.executable} -m digitcore predict {seven} {seven} {seven} | true"
    process = subprocess.run(["bash", "-c", code], capture_output=True, cwd=ROOT, timeout=120)
    assert process.stderr == b""


def test_interrupting_is_no_traceback(
    seven: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(digitcore.serving.cli_predict, "read_image", interrupted)
    assert main(["predict", str(seven)]) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_file_names_beyond_ascii(seven: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    odd = seven.rename(seven.with_name("sieben ÿ.png"))
    assert main(["predict", str(odd), "--json"]) == 0
    assert json.loads(output.getvalue())[0]["file"] == str(odd)


def test_a_set_of_ones_own_is_added_evaluated_renamed_exported_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], validation_digits: DigitSet
) -> None:
    some = validation_digits.subset(np.arange(0, 5000, 50))
    np.savez(tmp_path / "some.npz", images=some.images, labels=some.labels)
    assert main(["data", "list"]) == 0
    assert "No set has been added yet" in capsys.readouterr().out
    assert main(["data", "add", str(tmp_path / "some.npz"), "--name", "mine"]) == 0
    assert capsys.readouterr().out == "mine: 100 digits, as they are; 0 left out\n"
    assert main(["evaluate", "compact", "--dataset", "mine", "--json"]) == 0
    (figures,) = json.loads(capsys.readouterr().out)
    logits = digitcore.load_classifier("compact").logits(some.images)
    assert (figures["dataset"], figures["digits"]) == ("mine", 100)
    assert figures["errors"] == int((logits.argmax(axis=1) != some.labels).sum())
    assert main(["data", "rename", "mine", "ours"]) == 0
    assert main(["data", "export", "ours", "--format", "idx", "--output", str(tmp_path / "idx")]) == 0
    assert main(["data", "add", str(tmp_path / "idx"), "--name", "again", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])[0]["digits"] == 100
    assert np.array_equal(digitcore.load_digits("again").images, some.images)
    assert main(["data", "remove", "ours"]) == 0
    assert main(["data", "list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out.splitlines()[-1])] == ["again"]


def test_slices_of_a_set_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], validation_digits: DigitSet
) -> None:
    some = validation_digits.subset(np.arange(0, 5000, 25))
    from_phone = np.arange(len(some)) % 4 == 0
    images = np.where(from_phone[:, None, None], some.images[:, ::-1], some.images)
    np.savez(tmp_path / "a.npz", images=images, labels=some.labels, device=np.where(from_phone, "phone", "pen"))
    command = ["data", "add", str(tmp_path / "a.npz"), "--name", "mine", "--pictures", "as-they-are"]
    assert main(command) == 0
    assert main(["evaluate", "compact", "--dataset", "mine", "--slices", "device"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:-2] == ["compact by device", lines[-3]]
    assert lines[-2].startswith("phone  50")
    assert lines[-2].endswith("worse than the rest")
    assert lines[-1].startswith("pen    150")
    assert main(["evaluate", "compact", "--dataset", "mine", "--slices", "device", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert [(slice_["value"], slice_["worse"]) for slice_ in row["slices"]] == [("phone", True), ("pen", False)]
    assert sum(slice_["errors"] for slice_ in row["slices"]) == row["errors"]
    assert main(["compare", "mlp", "compact", "--dataset", "mine", "--slices", "device"]) == 0
    assert "errors A" in capsys.readouterr().out
    assert main(["compare", "mlp", "compact", "--dataset", "mine", "--slices", "device", "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)
    assert sum(slice_["only_b"] for slice_ in pair["slices"]) == pair["only_b"]
    assert main(["evaluate", "compact", "--dataset", "mine", "--slices", "nosuch"]) == 1
    assert "mine has no column 'nosuch' to slice it by: device." in capsys.readouterr().err


def test_labels_are_corrected_and_figures_are_with_and_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", f"sqlite:///{tmp_path / 'a.sqlite'}")
    digits = load_digits("uci-digits")
    answers = digitcore.load_classifier("compact").logits(digits.images).argmax(axis=1)
    first, second = np.flatnonzero(answers != digits.labels)[:2].tolist()
    errors = int((answers != digits.labels).sum())
    evaluate = ["evaluate", "compact", "--dataset", "uci-digits", "--json"]

    def figures(*options: str) -> tuple[int, int]:
        assert main([*evaluate, *options]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        return row["errors"], row["corrected_labels"]

    assert figures("--corrected") == (errors, 0)
    assert main(["data", "correct", "uci-digits", str(first), str(answers[first]), "--who", "=Ada"]) == 0
    assert main(["data", "correct", "uci-digits", str(second), str(answers[second])]) == 0
    printed = capsys.readouterr().out
    assert f"uci-digits {first}: {digits.labels[first]}, now {answers[first]}" in printed
    assert figures() == (errors, 0)
    assert figures("--corrected") == (errors - 2, 2)
    assert main(["evaluate", "compact", "--dataset", "uci-digits", "--corrected"]) == 0
    assert "uci-digits (2 labels corrected)" in capsys.readouterr().out
    assert main(["compare", "mlp", "compact", "--dataset", "uci-digits", "--corrected"]) == 0
    assert "All figures are with 2 corrected labels." in capsys.readouterr().out
    assert main(["data", "corrections", "uci-digits"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "id,old,new,who,when"
    assert table[1].startswith(f"{first},{digits.labels[first]},{answers[first]},'=Ada,20")
    assert main(["data", "correct", "uci-digits", str(first), "--undo"]) == 0
    assert main(["data", "corrections", "uci-digits", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out.splitlines()[-1])] == [second]
    for wrong in (
        ["correct", "uci-digits", str(first), "--undo"],
        ["correct", "uci-digits", str(first)],
        ["correct", "uci-digits", str(first), "3", "--undo"],
        ["correct", "uci-digits", "99999", "3"],
        ["correct", "uci-digits", str(first), str(digits.labels[first])],
        ["correct", "uci-digits", str(first), "10"],
        ["corrections", "nosuch"],
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["data", *wrong])
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "compact", "--dataset", "uci-digits", "--corrected", "--ship"])


def test_what_data_cannot_do_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "add", str(tmp_path / "nowhere"), "--name", "mine"]) == 1
    assert main(["data", "remove", "mine"]) == 1
    assert main(["data", "export", "mnist-validation", "--format", "npz", "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "nowhere is not there" in error
    assert "No set that was added is called 'mine'" in error
    assert f"{tmp_path} cannot be written" in error
    for wrong in (
        ["add", str(tmp_path), "--name", "mnist-test"],
        ["add", str(tmp_path), "--name", "My digits"],
        ["add", str(tmp_path), "--name", "mine", "--labels", "x"],
        ["export", "nosuch", "--format", "npz", "--output", str(tmp_path / "x")],
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["data", *wrong])
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "compact", "--dataset", "nosuch"])
    assert "'nosuch' is not one of mnist-test" in capsys.readouterr().err
