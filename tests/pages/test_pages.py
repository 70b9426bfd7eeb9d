"""What each page shows, and what its pickers change."""

import hashlib
import io
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import streamlit as st
import torch
from numpy.typing import NDArray
from streamlit import config as st_config
from streamlit.testing.v1 import AppTest

import digitcore
from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.data.written_forms import PER_FORM, WRITTEN_FORMS
from digitcore.evaluation.comparison import compare, outcomes
from digitcore.evaluation.evaluation import Evaluation, load_or_evaluate, summarize
from digitcore.evaluation.metrics import outcomes_at
from digitcore.imaging.canvas_json import digit_object
from digitcore.imaging.preprocessing import extract_ink
from digitcore.imaging.segmentation import PictureInk
from digitcore.models.export import export_network
from digitcore.settings import load_settings
from pages.parts.draw.examples import EXAMPLES
from pages.shared.drawing import SIDE, Drawing
from tests.pages.conftest import PAGES, Visit, is_fine, texts, tiles
from tests.paths import ROOT, WEIGHTS

DATASET = "mnist-validation"  # its pictures are always there


Save = Callable[..., Path]


def evaluation_of(checkpoint: str, dataset: str = DATASET) -> Evaluation:
    return load_or_evaluate(digitcore.load_classifier(checkpoint), dataset)


def wrong_ids(evaluation: Evaluation) -> set[int]:
    return set(evaluation.ids[evaluation.labels != evaluation.predictions].tolist())


def ids(app_tiles: list[dict[str, object]]) -> list[object]:
    return [tile["id"] for tile in app_tiles]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dataset", ["mnist-test", "mnist-validation", "uci-digits"])
def test_every_page_opens(visit: Visit, name: str, dataset: str) -> None:
    app = visit(name, dataset=dataset, checkpoint="compact")
    assert is_fine(app)
    assert [title.value for title in app.title] == [PAGES[name]]
    assert app.sidebar.selectbox(key="checkpoint").value == "compact"
    assert app.sidebar.selectbox(key="dataset").value == dataset


def test_the_picked_checkpoint_and_digits_are_judged(visit: Visit) -> None:
    app = visit("accuracy", dataset="uci-digits")
    for checkpoint in ("baseline", "compact"):
        app.sidebar.selectbox(key="checkpoint").select(checkpoint).run()
        summary = summarize(evaluation_of(checkpoint, "uci-digits"))
        assert is_fine(app)
        assert f"right on **{summary.accuracy:.2%}** of 1,797 digits" in texts(app)
        assert f"**{summary.errors} errors**" in texts(app)


def test_the_sidebar_says_what_is_picked_and_quotes_the_picked_digits(visit: Visit) -> None:
    app = visit("confusion", dataset="uci-digits", checkpoint="world")
    for checkpoint, words in {"world": "Best on real drawings", "mlp": "Easily fooled: most errors"}.items():
        app.sidebar.selectbox(key="checkpoint").select(checkpoint).run()
        captions = "\n".join(caption.value for caption in app.sidebar.caption)
        assert words in captions
        assert f"on uci-digits: {evaluation_of(checkpoint, 'uci-digits').errors} errors in 1,797" in captions
        assert "1,797 coarse scans" in captions


def test_a_model_that_is_being_tried_out_is_named(visit: Visit, weights_folder: Path, save_random: Save) -> None:
    pytest.importorskip("onnx")
    from tests.models.test_onnx import endless

    save_random(weights_folder / "compact.safetensors")
    (weights_folder / "endless.onnx").write_bytes(endless())
    app = visit("compare")
    assert is_fine(app)
    assert "endless.onnx is being tried out" in app.sidebar.caption[-3].value
    assert app.sidebar.selectbox(key="checkpoint").options == ["compact"]
    assert not app.sidebar.expander
    while "is being tried out" in texts(app):
        app.run()
    assert [expander.label for expander in app.sidebar.expander] == ["1 unusable"]


def test_whoever_asks_for_a_model_that_is_being_tried_out_waits_for_it(visit: Visit, weights_folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    for name in ("compact", "mlp"):
        shutil.copy(WEIGHTS / f"{name}.safetensors", weights_folder)
    export_network(digitcore.load_classifier("mlp").checkpoint, weights_folder / "exported.onnx", file_format="onnx")
    app = visit("confusion", dataset=DATASET, checkpoint="exported")
    assert app.sidebar.selectbox(key="checkpoint").value == "exported"
    assert not app.sidebar.warning


def test_a_model_of_an_address_that_is_not_here_is_named_until_another_is_picked(visit: Visit) -> None:
    app = visit("confusion", checkpoint="*nosuch*", dataset=DATASET)
    app.toggle(key="log").set_value(True).run()
    words = [warning.value for warning in app.sidebar.warning]
    assert words == [r"There is no model \*nosuch\*: world answers instead."]
    assert app.sidebar.selectbox(key="checkpoint").value == "world"
    app.sidebar.selectbox(key="checkpoint").select("compact").run()
    assert not app.sidebar.warning


def test_disputed_labels_are_set_aside(visit: Visit) -> None:
    without = summarize(evaluation_of("world", "mnist-test").without(disputed_ids("mnist-test")))
    (expander,) = visit("accuracy", dataset="mnist-test").expander
    assert expander.label == f"Without the 15 disputed digits: {without.errors:,} errors"
    assert not visit("accuracy", dataset="uci-digits").expander


def test_a_threshold_divides_the_digits(visit: Visit) -> None:
    evaluation = evaluation_of("baseline")
    app = visit("accuracy", dataset=DATASET, checkpoint="baseline")
    for threshold in (0.0, 0.98):
        app.select_slider(key="threshold").set_value(threshold).run()
        parts = outcomes_at(evaluation.labels, evaluation.logits, threshold=threshold)
        figures = {metric.label: metric.value for metric in app.metric}
        assert figures["Answered, right"] == f"{parts.answered_right:,}"
        assert figures["Refused, was wrong"] == f"{parts.refused_wrong:,}"
        refused = parts.refused_right + parts.refused_wrong
        (button,) = [button for button in app.button if button.label.endswith("refused")]
        assert button.label == f"See the {refused:,} refused"
        assert button.disabled == (refused == 0)


def test_the_pickers_of_a_cell_show_its_digits(visit: Visit) -> None:
    evaluation = evaluation_of("baseline")
    wrong = evaluation.labels != evaluation.predictions
    app = visit("confusion", dataset=DATASET, checkpoint="baseline")
    assert set(ids(tiles(app))) == wrong_ids(evaluation)
    app.selectbox(key="true").select("4").run()
    assert set(ids(tiles(app))) == set(evaluation.ids[wrong & (evaluation.labels == 4)].tolist())
    app.selectbox(key="predicted").select("9").run()
    inside = (evaluation.labels == 4) & (evaluation.predictions == 9)
    assert set(ids(tiles(app))) == set(evaluation.ids[inside].tolist())


@pytest.mark.parametrize("widget", ["diagonal", "log", "order"])
def test_the_matrix_can_be_shown_otherwise(visit: Visit, widget: str) -> None:
    app = visit("confusion", dataset=DATASET)
    (before,) = [chart.proto.spec for chart in app.get("vega_lite_chart")]
    app.toggle(key=widget).set_value(True).run()
    (after,) = [chart.proto.spec for chart in app.get("vega_lite_chart")]
    assert is_fine(app)
    assert after != before


def test_errors_are_filtered_and_ordered(visit: Visit) -> None:
    evaluation = evaluation_of("baseline")
    wrong = evaluation.labels != evaluation.predictions
    app = visit("errors", dataset=DATASET, checkpoint="baseline", sort="by id")
    assert ids(tiles(app)) == sorted(wrong_ids(evaluation))
    app.selectbox(key="predicted").select("7").run()
    assert ids(tiles(app)) == sorted(evaluation.ids[wrong & (evaluation.predictions == 7)].tolist())
    app.selectbox(key="show").select("all digits").run()
    assert len(tiles(app)) == 500
    assert f"{(evaluation.predictions == 7).sum():,} digits, the first 500 shown" in texts(app)
    app.slider(key="confidence").set_range(0.0, 0.5).run()
    unsure = (evaluation.predictions == 7) & (probabilities(evaluation).max(axis=1) <= 0.5)
    assert set(ids(tiles(app))) == set(evaluation.ids[unsure].tolist())


def probabilities(evaluation: Evaluation) -> np.ndarray:
    shifted = np.exp(evaluation.logits - evaluation.logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_disputed_digits_are_among_all_of_them(visit: Visit) -> None:
    app = visit("errors", dataset="mnist-test", show="all digits", labels="disputed")
    assert "15 digits" in texts(app)


def test_a_picked_digit_is_looked_at_and_starred(visit: Visit) -> None:
    evaluation = evaluation_of("baseline")
    first, second, *_ = sorted(wrong_ids(evaluation))
    app = visit("errors", dataset=DATASET, checkpoint="baseline", sort="by id", digit=str(first))
    row = int(np.flatnonzero(evaluation.ids == first)[0])
    assert is_fine(app), (app.exception, app.error)
    assert f"**Digit {first}** of {DATASET}, answered by baseline" in texts(app)
    assert f"wrong: the true digit is {evaluation.labels[row]}" in texts(app)
    app.toggle(key=f"star-{DATASET}-{first}").set_value(True).run()
    next(button for button in app.button if button.label == "Next").click().run()
    assert f"**Digit {second}** of" in texts(app)
    app.selectbox(key="show").select("starred").run()
    assert ids(tiles(app)) == [first]
    assert f"There is no digit 123456789 in {DATASET}" in texts(visit("errors", dataset=DATASET, digit="123456789"))


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("kept", ["yours", "theirs"])
def test_of_two_writers_neither_is_overwritten_without_a_word(visit: Visit, kept: str) -> None:
    mine, theirs = (visit("errors", dataset="mnist-test", digit="3") for _ in range(2))
    assert "Everybody who uses this server sees stars and notes" in texts(mine)
    theirs.text_area[0].set_value("*theirs*").run()
    mine.text_area[0].set_value("mine").run()
    (warning,) = mine.main.warning
    assert warning.value == "Changed meanwhile.  \nYours: no star, mine  \nTheirs: no star, \\*theirs\\*"
    assert theirs.run().text_area[0].value == "*theirs*"
    next(button for button in mine.button if button.label == f"Keep {kept}").click().run()
    assert not mine.main.warning
    expected = "mine" if kept == "yours" else "*theirs*"
    assert [app.run().text_area[0].value for app in (mine, theirs)] == [expected, expected]
    mine.toggle(key="star-mnist-test-3").set_value(True).run()
    assert theirs.run().toggle(key="star-mnist-test-3").value
    assert is_fine(mine)
    assert is_fine(theirs)


def test_both_answers_to_a_digit_stand_side_by_side_until_it_is_closed(visit: Visit) -> None:
    a, b = evaluation_of("baseline"), evaluation_of("compact")
    digit = next(iter(a.ids[a.predictions != b.predictions].tolist()))
    row = int(np.flatnonzero(a.ids == digit)[0])
    app = visit("compare", view="A against B", a="baseline", b="compact", dataset=DATASET, digit=str(digit))
    assert is_fine(app)
    for name, answers in (("baseline", a), ("compact", b)):
        assert re.search(rf'data-checkpoint="{name}">{answers.predictions[row]}<', texts(app))
    next(button for button in app.button if button.label == "Close").click().run()
    assert "Pick a digit" in texts(app)
    assert "digit" not in app.query_params


def test_the_leaderboard_is_in_the_order_of_errors(visit: Visit) -> None:
    app = visit("compare", dataset="mnist-test")
    table = app.dataframe[0].value
    assert table["errors"].is_monotonic_increasing
    assert table.set_index("checkpoint").loc["world", "errors"] == evaluation_of("world", "mnist-test").errors
    app.text_input(key="filter").input("mlp").run()
    assert app.dataframe[0].value["checkpoint"].tolist() == ["mlp"]
    app.text_input(key="filter").input("no such name").run()
    assert [info.value for info in app.info] == ["No model has such a name, recipe or architecture."]


def test_recipes_are_rows_of_their_own(visit: Visit) -> None:
    app = visit("compare", dataset="mnist-test")
    recipes = app.dataframe[1].value.set_index("recipe")
    assert recipes.loc["compact", "runs"] > 1
    assert recipes.loc["compact", "least"] < recipes.loc["compact", "errors"] < recipes.loc["compact", "most"]
    assert recipes["errors"].is_monotonic_increasing


def test_a_network_of_ones_own_is_added_with_its_layers(
    visit: Visit, weights_folder: Path, save_random: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused says how to describe it; described so, it is judged, and the page says what input it takes."""
    monkeypatch.setenv("DIGITCORE_UPLOADS", "on")
    save_random(weights_folder / "compact.safetensors")
    file = io.BytesIO()
    torch.save({"fc.weight": torch.eye(10, 784), "fc.bias": torch.zeros(10)}, file)
    app = visit("compare", dataset="uci-digits")
    app.file_uploader(key="upload-0").set_value(("mine.pt", file.getvalue(), "application/octet-stream")).run()
    (add,) = [button for button in app.button if button.label == "Add"]
    add.click().run()
    (problem,) = [error.value for error in app.error]
    draft = problem.partition("such as: ")[2].replace("\\", "")  # as Markdown shows it
    assert draft == "Flatten; fc: Linear(784, 10)"
    (layers,) = [area for area in app.text_area if area.label == "Layers"]
    layers.set_value(draft)
    (add,) = [button for button in app.button if button.label == "Add"]
    add.click().run()
    assert is_fine(app)
    assert (weights_folder / "mine.layers.txt").read_text(encoding="utf-8") == draft
    board = app.dataframe[0].value.set_index("checkpoint")
    assert board.loc["mine", "architecture"] == "layers"
    assert board.loc["mine", "input"].startswith("nothing fits: at most ")


def test_the_leaderboard_offers_what_is_missing(visit: Visit, weights_folder: Path, save_random: Save) -> None:
    """Figures first, then speed, which takes no digits; then there is nothing to offer."""
    save_random(weights_folder / "mine.safetensors")
    app = visit("compare", dataset="uci-digits")
    for offer, words in {"Evaluate": "mine not evaluated yet.", "Measure": "Speed not measured here yet."}.items():
        assert words in texts(app)
        (button,) = [button for button in app.button if button.label == offer]
        button.click().run()
        for timing in (load_settings().cache_directory / "timings").iterdir() if offer == "Evaluate" else ():
            timing.unlink()
        app.run()
    assert "yet." not in texts(app)
    assert app.dataframe[0].value["milliseconds"].notna().all()


def test_a_pair_is_compared(visit: Visit) -> None:
    a, b = evaluation_of("baseline"), evaluation_of("compact")
    app = visit("compare", view="A against B", a="baseline", b="compact", dataset=DATASET)
    assert is_fine(app)
    assert compare(a, b).verdict in app.header[0].value
    app.selectbox(key="outcome").select("only B").run()
    assert set(ids(tiles(app))) == set(a.ids[outcomes(a, b) == "only B"].tolist())
    app.button(key="swap").click().run()
    assert (app.query_params["a"], app.query_params["b"]) == ("compact", "baseline")
    assert set(ids(tiles(app))) == set(a.ids[outcomes(b, a) == "only B"].tolist())


@pytest.mark.parametrize("chart", ["Answers", "Errors", "Digit by digit"])
def test_each_chart_of_a_pair(visit: Visit, chart: str) -> None:
    app = visit("compare", view="A against B", a="baseline", b="compact", dataset=DATASET, chart=chart)
    assert is_fine(app)
    assert app.segmented_control(key="chart").value == chart
    assert len(app.get("vega_lite_chart")) == 1


def test_several_are_compared(visit: Visit) -> None:
    names = ["baseline", "compact", "mlp"]
    evaluations = [evaluation_of(name) for name in names]
    app = visit("compare", view="Several", chosen=names, dataset=DATASET)
    assert is_fine(app)
    assert app.multiselect(key="chosen").value == names
    shared = set.intersection(*map(wrong_ids, evaluations))
    assert set(ids(tiles(app))) == shared
    app.segmented_control(key="common").set_value("some wrong").run()
    assert set(ids(tiles(app))) == set.union(*map(wrong_ids, evaluations))
    app.multiselect(key="chosen").set_value(["mlp"]).run()
    assert [info.value for info in app.info] == ["Pick two models or more."]


def test_names_in_the_address_that_nobody_has(visit: Visit) -> None:
    pair = visit("compare", view="A against B", a="nosuch", b="compact", dataset=DATASET)
    assert [warning.value for warning in pair.warning] == ["There is no model nosuch."]
    assert [info.value for info in pair.info] == ["Pick two different models."]
    several = visit("compare", view="Several", chosen=["nosuch", "compact"], dataset=DATASET)
    assert [warning.value for warning in several.warning] == ["There is no model nosuch."]
    elsewhere = visit("accuracy", checkpoint="nosuch", dataset="nosuch")
    assert is_fine(elsewhere)
    assert elsewhere.sidebar.selectbox(key="checkpoint").value == "world"


@pytest.mark.parametrize("name", PAGES)
def test_a_name_that_would_be_markup_is_shown_literally(
    visit: Visit, weights_folder: Path, save_random: Save, name: str
) -> None:
    markup = "x *y* <img src=q> [c](d) $e$"
    save_random(weights_folder / "plain-name.safetensors", seed=1)
    save_random(weights_folder / f"{markup}.safetensors", trained_on=("mnist-train",))
    app = visit(name, checkpoint=markup, dataset="uci-digits", view="A against B")
    assert is_fine(app)
    assert app.sidebar.selectbox(key="checkpoint").value == markup
    for piece in ("*y*", "<img src=q>", "[c](d)", " $e$"):
        assert piece not in texts(app), piece


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a_b*c*.png cannot be read", r"a_b\*c\*.png cannot be read"),
        (
            "run `python -m digitcore train compact`, or [x](y).",
            r"run `python -m digitcore train compact`, or \[x\](y).",
        ),
        ("`![a](b)` `digitcore rm` cannot", r"\`!\[a\](b)\` \`digitcore rm\` cannot"),
        (f"{WEIGHTS / 'a b.pt'} is not in {WEIGHTS}.", "a b.pt is not in the weights folder."),
        (f"{ROOT / 'x' / 'a.pt'}: {Path(tempfile.gettempdir()) / 'b'}", "a.pt: b"),
    ],
)
def test_errors_name_files_literally_and_commands_as_code(message: str, shown: str) -> None:
    def page(message: str) -> None:
        from digitcore.errors import CheckpointError
        from pages.shared.error_box import error_box

        with error_box():
            raise CheckpointError(message)

    app = AppTest.from_function(page, kwargs={"message": message}).run(timeout=60)
    assert [error.value for error in app.error] == [shown]


@pytest.mark.parametrize("name", PAGES)
def test_without_a_weights_folder(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("DIGITCORE_WEIGHTS", str(tmp_path / "nowhere"))
    app = visit(name)
    assert not app.exception
    assert [warning.value for warning in app.sidebar.warning] == ["This server has no usable model."]
    assert str(tmp_path) not in texts(app)
    advice = {"": "Draw a digit", "compare": "There is no model yet", "handwriting": "Write 100 digits"}
    assert advice.get(name, "holds no usable checkpoint") in texts(app)


def test_figures_on_digits_that_chose_the_model_carry_a_mark(visit: Visit) -> None:
    mark = "Chosen on these digits, so a little better here: world-compact."
    assert mark in texts(visit("accuracy", checkpoint="world-compact", dataset="pen-digits"))
    assert mark not in texts(visit("accuracy", checkpoint="world-compact", dataset="uci-digits"))
    board = visit("compare", dataset="pen-digits").dataframe[0].value.set_index("checkpoint")
    assert board["caution"]["world-compact"] == "chosen on pen-digits"
    assert board["caution"]["standard"] == ""


def test_intervals_say_whether_they_allow_for_writers(visit: Visit) -> None:
    drawn = texts(visit("accuracy", dataset="pen-digits"))
    assert "allowing for 5 writers" in drawn
    assert "5 people wrote these digits" in drawn
    scanned = texts(visit("accuracy", dataset="uci-digits"))
    assert "as if each digit were of another person" in scanned
    assert "Who wrote which digits of uci-digits is not known" in scanned


@pytest.mark.usefixtures("data_folder")
def test_the_writers_of_mnist_are_known_without_its_files(visit: Visit) -> None:
    """4,999 digits are of Census employees, the other 5,001 of high-school students."""
    evaluation = evaluation_of("world", "mnist-test")
    assert evaluation.writers is not None
    wrong = (evaluation.predictions != evaluation.labels) & (evaluation.writers < 2100)
    words = texts(visit("accuracy", dataset="mnist-test"))
    assert "allowing for 297 writers" in words
    assert f"**Census employees**: {wrong.sum()} errors in 4,999 digits of" in words
    assert "errors in 5,001 digits of" in words


@pytest.mark.usefixtures("cached_drawn_sets")
def test_five_writers_are_too_few_for_a_verdict(visit: Visit) -> None:
    words = texts(visit("compare", view="A against B", a="world", b="mlp", dataset="pen-digits"))
    assert "5 writers are too few for a verdict: it takes 6." in words
    assert "too few for a verdict" not in texts(
        visit("compare", view="A against B", a="world", b="mlp", dataset="mnist-test")
    )


@pytest.mark.usefixtures("data_folder")
def test_the_errors_of_one_writer(visit: Visit) -> None:
    evaluation = evaluation_of("world", "pen-digits")
    assert evaluation.writers is not None
    theirs = set(evaluation.ids[evaluation.writers == 28].tolist())
    app = visit("errors", dataset="pen-digits", writer="28")
    assert set(app.dataframe[0].value["id"]) == wrong_ids(evaluation) & theirs


@pytest.mark.usefixtures("data_folder")
def test_digits_that_are_not_on_this_machine(visit: Visit) -> None:
    """Every figure is there all the same; what takes pictures says how to get them."""
    accuracy = visit("accuracy", dataset="mnist-test")
    assert is_fine(accuracy)
    assert "10,000 digits of mnist-test" in texts(accuracy)
    errors = visit("errors", dataset="mnist-test")
    assert is_fine(errors)
    assert errors.button(key="download-mnist").label == "Download MNIST"
    assert set(errors.dataframe[0].value["id"]) == wrong_ids(evaluation_of("world", "mnist-test"))
    assert "The pictures of these digits are not on this machine." in texts(visit("errors", dataset="pen-digits"))


@pytest.mark.parametrize("look", ["Preprocessing", "Why", "All models", "Similar digits", "Reproduce"])
def test_a_drawing_is_read_and_looked_at(visit: Visit, validation_digits: DigitSet, look: str) -> None:
    ink = validation_digits.images[validation_digits.labels == 4][0]
    app = visit(look=look, checkpoint="compact")
    drawing = Drawing()
    drawing.replace_by([digit_object(ink, side=SIDE)])
    app.session_state["drawing"] = drawing
    app.session_state["source"] = "Draw"
    app.run()
    assert is_fine(app)
    prediction = digitcore.load_classifier("compact").predict(ink)
    assert re.search(rf'data-testid="answer" data-checkpoint="compact" data-strokes="">{prediction.digit}<', texts(app))
    for probability in prediction.probabilities:
        assert f'title="{probability:.9f}"' in texts(app)


def test_a_drawn_number_has_its_ink_extracted_and_its_lines_found_once(
    visit: Visit, draw: Callable[..., NDArray[np.uint8]]
) -> None:
    """Counted in all threads by code objects, while the page reads a canvas with three digits."""
    rows = np.hstack([draw(digit, side=128, brush=10) for digit in (4, 7, 1)])
    ink = np.pad(rows, ((128, 128), (0, 0)))
    app = visit(checkpoint="standard")
    drawing = Drawing()
    drawing.objects = [{}, {}, {}]
    drawing.picture = np.dstack([255 - ink, 255 - ink, 255 - ink, np.full_like(ink, 255)])
    app.session_state["drawing"] = drawing
    app.session_state["source"] = "Draw"
    finding = vars(PictureInk)["lines"].func
    functions = {function.__code__: function.__name__ for function in (extract_ink, finding)}
    calls: list[str] = []

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in functions:
            calls.append(functions[frame.f_code])

    threading.setprofile(count)  # the page runs in a thread of its own
    try:
        app.run()
    finally:
        threading.setprofile(None)
    assert is_fine(app)
    assert drawing.answer == "471"
    assert sorted(calls) == ["extract_ink", "lines"]


def test_a_sample_is_put_on_the_canvas_and_cleared(visit: Visit) -> None:
    app = visit(checkpoint="compact")
    app.session_state["sample"] = 4
    app.run()
    assert 'data-checkpoint="compact" data-strokes="">4<' in texts(app)
    next(button for button in app.button if button.label == "Clear").click().run()
    assert 'data-testid="nothing-yet"' in texts(app)
    (earlier,) = [component for component in app.get("bidi_component") if component.key == "earlier-drawings"]
    assert [tile["caption"] for tile in json.loads(earlier.proto.json)["tiles"]] == ["4"]


def test_a_link_opens_its_drawing_with_its_model(visit: Visit) -> None:
    app = visit(drawing=EXAMPLES["a sloppy 4"], checkpoint="baseline")
    assert is_fine(app)
    assert 'data-checkpoint="baseline" data-strokes="2">4<' in texts(app)
    assert "drawing" not in app.query_params
    number = visit(drawing=EXAMPLES["1987"])
    assert 'data-strokes="4">1987<' in texts(number)


@pytest.mark.parametrize("code", ["", "1A", "2AAAA", "<b>1987</b>", "1" + "A" * 5000, "\N{SNOWMAN}"])
def test_a_link_without_a_drawing_says_so_on_an_empty_canvas(visit: Visit, code: str) -> None:
    app = visit(drawing=code)
    assert is_fine(app)
    assert [info.value for info in app.info] == [
        "The link does not hold a drawing: part of it may be missing. Copy it again."
    ]
    assert 'data-testid="nothing-yet" data-strokes="0"' in texts(app)
    assert "drawing" not in app.query_params


def test_an_upload_is_read(visit: Visit, validation_digits: DigitSet, encode: Callable[..., bytes]) -> None:
    ink = validation_digits.images[3000]
    app = visit(checkpoint="compact")
    app.segmented_control(key="source").set_value("Upload").run()
    app.file_uploader(key="upload").set_value(("six.png", encode(255 - ink, "PNG"), "image/png")).run()
    assert 'data-strokes="">6<' in texts(app)
    app.file_uploader(key="upload").set_value(("broken.png", b"nothing", "image/png")).run()
    assert ["broken.png" in error.value for error in app.error] == [True]
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(900)
    app.file_uploader(key="upload").set_value(("seven.jpg", heic, "image/jpeg")).run()
    assert ["it is a HEIC file" in error.value.replace("\\", "") for error in app.error] == [True]


@pytest.fixture
def own_models(weights_folder: Path, save_random: Save) -> Path:
    """A weights folder with the shipped checkpoint `compact` and the added one `mine`."""
    data = save_random(weights_folder / "compact.safetensors").read_bytes()
    entry = {"file": "compact.safetensors", "sha256": hashlib.sha256(data).hexdigest()}
    (weights_folder / "manifest.json").write_text(json.dumps({"compact": entry}), encoding="utf-8")
    save_random(weights_folder / "mine.safetensors", seed=1)
    return weights_folder


def test_an_added_model_is_unverified_and_can_be_renamed_and_removed(visit: Visit, own_models: Path) -> None:
    app, other = visit("compare", checkpoint="mine"), visit("compare", checkpoint="mine")
    assert "8,778 parameters · unverified" in texts(app)
    assert app.selectbox(key="own-file").options == ["mine.safetensors"]
    app.text_input(key="new-name-mine.safetensors").set_value("compact")
    app.button(key="confirm-rename").click().run()
    assert "There is a checkpoint 'compact' already" in texts(app)
    app.text_input(key="new-name-mine.safetensors").set_value("yours")
    app.button(key="confirm-rename").click().run()
    assert (own_models / "yours.safetensors").is_file()
    app.selectbox(key="own-file").select("yours.safetensors").run()
    app.button(key="confirm-remove").click().run()
    assert is_fine(app)
    assert [path.name for path in own_models.glob("*.safetensors")] == ["compact.safetensors"]
    assert "Rename or remove" not in {expander.label for expander in app.expander}
    other.run()  # somebody who had picked it
    assert is_fine(other)
    assert other.sidebar.selectbox(key="checkpoint").value == "compact"
    assert "unverified" not in texts(other)


@pytest.mark.parametrize(
    ("address", "uploads", "expected"),
    [("127.0.0.1", "", True), ("0.0.0.0", "", False), ("0.0.0.0", "on", True), ("127.0.0.1", "off", False)],
)
def test_models_are_added_where_only_this_machine_reaches_the_server_or_as_it_is_set(
    visit: Visit, own_models: Path, monkeypatch: pytest.MonkeyPatch, address: str, uploads: str, expected: bool
) -> None:
    monkeypatch.setenv("DIGITCORE_UPLOADS", uploads)
    before = st.get_option("server.address")
    st_config.set_option("server.address", address)
    try:
        app = visit("compare")
    finally:
        st_config.set_option("server.address", before)
    labels = {expander.label for expander in app.expander}
    assert labels & {"Add your own", "Rename or remove"} == (
        {"Add your own", "Rename or remove"} if expected else set()
    )
    assert is_fine(app)


@pytest.mark.usefixtures("cached_drawn_sets")
def test_forms_are_listed_worst_first_and_their_digits_can_be_browsed(visit: Visit) -> None:
    table = visit("accuracy", checkpoint="world").dataframe[1].value
    assert len(table) == len(WRITTEN_FORMS)
    assert table["right"].is_monotonic_increasing
    assert set(table["digits"]) == {PER_FORM}
    worst = str(table["form"].iloc[0])
    browse = visit("errors", checkpoint="world", dataset="written-forms", show="all digits", form=worst)
    assert is_fine(browse)
    position = [f"{digit} {form}" for digit, form in WRITTEN_FORMS].index(worst)
    assert set(ids(tiles(browse))) == set(range(position * PER_FORM, (position + 1) * PER_FORM))


def test_forms_are_filtered_only_where_they_are_known(visit: Visit) -> None:
    labels = [box.label for box in visit("errors", dataset="uci-digits").selectbox]
    assert "True digit" in labels
    assert "Form" not in labels
