"""Comparison report: two checkpoints and their evaluations as one self-contained HTML file.

It contains no script and no web address. A checkpoint's name and metadata may come from anybody: they are escaped
wherever they appear.
"""

import shlex
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.evaluation.comparison import (
    Outcome,
    answer_matrix,
    compare,
    compare_per_digit,
    outcomes,
)
from digitcore.evaluation.evaluation import Evaluation, summarize
from digitcore.evaluation.intervals import SIGNIFICANCE_LEVEL, basis
from digitcore.evaluation.metrics import CALIBRATION_BINS, confusion_matrix, digit_table
from digitcore.imaging.png import digit_sheet
from digitcore.imaging.preprocessing import PREPROCESSING
from digitcore.models.checkpoints import Checkpoint
from digitcore.reports.charts import Chart, confusion_difference, confusion_heatmap, per_digit_chart, specification
from digitcore.text import printable

__all__ = ["MOST_TILES", "comparison_report"]

MOST_TILES = 120
"""The most digits that one gallery shows."""

_SHEET_COLUMNS = 12  # of the sheet of pictures that a gallery's tiles are cut from
_GREY = "#8a8a8a"
_CHART_CONFIG = {  # transparent, in the colour of the text around the charts
    "aria": False,
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "titleFontWeight": "normal",
        "titleLimit": 300,
        "domainColor": _GREY,
        "tickColor": _GREY,
        "gridColor": _GREY,
        "gridOpacity": 0.3,
    },
    "axisQuantitative": {"tickCount": 5},
}


@dataclass(frozen=True)
class _Gallery:
    """The digits with one outcome."""

    outcome: Outcome
    count: int
    digits: list[dict[Hashable, Any]]
    """The first `MOST_TILES`: `id`, `label`, `disputed`, `starred`, `note`, `answer_a`, `answer_b`, `confidence_a` and
    `confidence_b`.
    """
    sheet: str | None
    """Their pictures on one PNG, as a data URL; None where the pictures are not on this machine."""


def comparison_report(
    a: Checkpoint,
    b: Checkpoint,
    evaluation_a: Evaluation,
    evaluation_b: Evaluation,
    *,
    pictures: DigitSet | None,
    starred: Collection[int] = (),
    notes: Mapping[int, str] = MappingProxyType({}),
) -> str:
    """The HTML document that compares checkpoint A with checkpoint B; without pictures it lists ids.

    starred: ids of digits that have a star; notes: by id.

    Raises:
        ValueError: the evaluations are not of the same digits, or these are not among the pictures.
    """
    if pictures is not None and not (
        pictures.name == evaluation_a.dataset and np.isin(evaluation_a.ids, pictures.ids).all()
    ):
        raise ValueError(f"pictures must be those of {evaluation_a.dataset}, got {len(pictures):,} of {pictures.name}")
    names = _names(a, b)
    first = replace(evaluation_a, checkpoint=names[0])  # a file may have been renamed since its evaluation
    second = replace(evaluation_b, checkpoint=names[1])
    per_digit, comparison = compare_per_digit(first, second), compare(first, second)
    answers = _answers(first, second, starred=starred, notes=notes)
    return _render(
        names=names,
        comparison=comparison,
        basis=basis(comparison.writers),
        warnings=[*_labels(first), *_warnings(a, first), *_warnings(b, second)],
        figures=[_figures(a, first), _figures(b, second)],
        per_digit=per_digit.to_dict("records"),
        charts=_charts(first, second, per_digit),
        galleries=_galleries(answers, pictures),
        annotated=answers[answers["starred"] | (answers["note"] != "")].sort_values("id").to_dict("records"),
        sheet_columns=_SHEET_COLUMNS,
        significance_level=SIGNIFICANCE_LEVEL,
        calibration_bins=CALIBRATION_BINS,
        created=datetime.now(UTC),
        torch=torch.__version__,
        preprocessing=PREPROCESSING,
        command=_command(a, b, first),
    )


def _names(a: Checkpoint, b: Checkpoint) -> tuple[str, str]:
    """The names in the report, told apart where they are the same."""
    name_a, name_b = printable(a.name), printable(b.name)
    return (name_a, name_b) if name_a != name_b else (f"{name_a} (A)", f"{name_b} (B)")


def _command(a: Checkpoint, b: Checkpoint, evaluation: Evaluation) -> str:
    """The command that makes the report again."""
    names = (printable(a.name), printable(b.name))
    options = ["--dataset", evaluation.dataset, *(["--corrected"] if evaluation.corrected else [])]
    return shlex.join(["python", "-m", "digitcore", "compare", *names, *options, "--report", "report.html"])


def _labels(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.corrected:
        yield f"All figures are {evaluation.labels_in_words}: visitors have corrected what the set's files say."


def _warnings(checkpoint: Checkpoint, evaluation: Evaluation) -> Iterator[str]:
    caution = checkpoint.metadata.caution(evaluation.dataset)
    if caution:
        yield f"{evaluation.checkpoint} was {caution} {evaluation.dataset}: its figures here look better than they are."
    if not checkpoint.metadata.trained_on:
        yield f"{evaluation.checkpoint} does not say what it was trained on: it may have seen these digits."


def _figures(checkpoint: Checkpoint, evaluation: Evaluation) -> dict[str, str]:
    """The column of one checkpoint in the table, by row name."""
    summary, metadata = summarize(evaluation), checkpoint.metadata
    low, high = summary.interval
    return {
        "Errors": f"{summary.errors:,}",
        "Accuracy": f"{summary.accuracy:.2%}",
        "95% interval": f"{low:.2%} to {high:.2%}",
        "Log loss": f"{summary.nll:.4f} nats",
        "Calibration error": f"{summary.ece:.4f}",
        "Parameters": f"{checkpoint.parameters:,}",
        "Architecture": _value(metadata.architecture),
        "Recipe": _value(metadata.recipe.get("name")),
        "Seed": _value(metadata.seed),
        "Trained on": _value(", ".join(metadata.trained_on) or None),
        "Chosen on": _value(", ".join(metadata.chosen_on) or None),
        "Finished": _minute(metadata.provenance.get("finished")),
        "SHA-256": Markup('<code title="{}">{}…</code>').format(checkpoint.digest, checkpoint.digest[:12]),
    }


def _value(value: object) -> str:
    return "unknown" if value is None else printable(str(value))


def _minute(timestamp: object) -> str:
    """An ISO timestamp without its seconds; anything else unchanged."""
    try:
        return f"{datetime.fromisoformat(str(timestamp)):%Y-%m-%d %H:%M %Z}"
    except ValueError:
        return _value(timestamp)


def _charts(a: Evaluation, b: Evaluation, per_digit: pd.DataFrame) -> dict[str, Markup]:
    titles = (f"answer of {a.checkpoint}", f"answer of {b.checkpoint}")
    answers = confusion_heatmap(answer_matrix(a, b), order=list(range(10)), titles=titles)
    difference = confusion_difference(confusion_matrix(a.labels, a.logits), confusion_matrix(b.labels, b.logits))
    return {
        "per_digit": _draw(per_digit_chart(per_digit).properties(width=330, height=330)),
        "answers": _draw(answers.properties(width=350, height=350)),
        "difference": _draw(difference.properties(width=350, height=350)),
    }


def _draw(chart: Chart) -> Markup:
    """The chart as SVG, with its description for screen readers."""
    vega_lite = specification(chart) | {"config": _CHART_CONFIG}
    svg = Markup(vl_convert.vegalite_to_svg(vega_lite))
    return Markup('<div class="chart" role="img" aria-label="{}">{}</div>').format(vega_lite["description"], svg)


def _galleries(table: pd.DataFrame, pictures: DigitSet | None) -> list[_Gallery]:
    sort_columns: dict[Outcome, str] = {"only A": "distance", "only B": "distance", "neither": "loss"}
    galleries = []
    for outcome, column in sort_columns.items():
        rows = table[table["outcome"] == outcome].sort_values(column, ascending=False, kind="stable")
        first_rows = rows.head(MOST_TILES)
        sheet = None if pictures is None or rows.empty else _sheet(pictures, first_rows["id"].tolist())
        galleries.append(_Gallery(outcome, len(rows), first_rows.to_dict("records"), sheet))
    return galleries


def _sheet(pictures: DigitSet, ids: list[int]) -> str:
    row_of_id = {int(id_): row for row, id_ in enumerate(pictures.ids)}
    return digit_sheet(pictures.images[[row_of_id[id_] for id_ in ids]], columns=_SHEET_COLUMNS)


def _answers(a: Evaluation, b: Evaluation, *, starred: Collection[int], notes: Mapping[int, str]) -> pd.DataFrame:
    """One row per digit: the columns of `_Gallery.digits`, `outcome`, `distance` (between the two probabilities of the
    label, in [0, 1]) and `loss` (summed, in nats).
    """
    table_a, table_b = (digit_table(evaluation.ids, evaluation.labels, evaluation.logits) for evaluation in (a, b))
    return table_a[["id"]].assign(
        label=a.labels,
        disputed=table_a["id"].isin(disputed_ids(a.dataset)),
        starred=table_a["id"].isin(list(starred)),
        note=[notes.get(digit, "") for digit in table_a["id"].tolist()],
        answer_a=table_a["predicted"],
        answer_b=table_b["predicted"],
        confidence_a=table_a["confidence"],
        confidence_b=table_b["confidence"],
        outcome=outcomes(a, b),
        distance=np.abs(np.exp(-table_a["loss"]) - np.exp(-table_b["loss"])),
        loss=table_a["loss"] + table_b["loss"],
    )


def _render(**context: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "percent": lambda share: f"{share:.2%}",
        "points": lambda share: f"{100 * share:+.2f}".replace("-", "\N{MINUS SIGN}"),
        "confidence": lambda share: f"{min(share, 0.999):.1%}",  # never 100%
        "p": lambda p: f"{p:.2g}" if p >= 0.0001 else "< 0.0001",
    }
    return environment.get_template("report.html").render(context)
