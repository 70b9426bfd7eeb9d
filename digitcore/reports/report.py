"""Two checkpoints and their evaluations -> a report to hand on: one HTML file that needs nothing beside it.

It holds no script and no address of the network. What a checkpoint says of itself, its name included, may come from
anybody: it is escaped wherever it appears.
"""

import shlex
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from digitcore.data.datasets import DigitSet, disputed_ids
from digitcore.evaluation.comparison import (
    SIGNIFICANCE_LEVEL,
    Outcome,
    answer_matrix,
    compare,
    compare_per_digit,
    outcomes,
)
from digitcore.evaluation.evaluation import Evaluation, summarize
from digitcore.evaluation.metrics import CALIBRATION_BINS, confusion_matrix, digit_table
from digitcore.imaging.png import digit_sheet
from digitcore.imaging.preprocessing import PREPROCESSING
from digitcore.models.checkpoints import Checkpoint
from digitcore.reports.charts import Chart, confusion_difference, confusion_heatmap, per_digit_chart, specification

__all__ = ["MOST_TILES", "comparison_report"]

MOST_TILES = 120
"""Digits that one gallery shows."""

_SHEET_COLUMNS = 12  # pictures beside each other on the sheet that a gallery's tiles are cut from
_GREY = "#8a8a8a"
_LOOK = {  # of the charts: no ground of their own, and the ink of the text around them
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
    """Digits of one outcome."""

    outcome: Outcome
    count: int
    digits: list[dict[Hashable, Any]]
    """The first `MOST_TILES` of them: `id`, `label`, `disputed`, and `answer_` and `confidence_` of `a` and `b`."""
    sheet: str | None
    """Their pictures on one PNG, as a data address; None where they are not here."""


def comparison_report(
    a: Checkpoint, b: Checkpoint, evaluation_a: Evaluation, evaluation_b: Evaluation, *, pictures: DigitSet | None
) -> str:
    """The report, an HTML document, of checkpoint A against checkpoint B; without pictures it lists ids.

    Raises:
        ValueError: the evaluations are not of the same digits, or these are not among the pictures.
    """
    if pictures is not None and not (
        pictures.name == evaluation_a.dataset and np.isin(evaluation_a.ids, pictures.ids).all()
    ):
        raise ValueError(f"pictures must be those of {evaluation_a.dataset}, got {len(pictures):,} of {pictures.name}")
    names = _names(a, b)
    first = replace(evaluation_a, checkpoint=names[0])  # an evaluation keeps the name of its day
    second = replace(evaluation_b, checkpoint=names[1])
    per_digit = compare_per_digit(first, second)
    return _render(
        names=names,
        comparison=compare(first, second),
        warnings=[*_warnings(a, first), *_warnings(b, second)],
        figures=[_figures(a, first), _figures(b, second)],
        per_digit=per_digit.to_dict("records"),
        charts=_charts(first, second, per_digit),
        galleries=_galleries(first, second, pictures),
        sheet_columns=_SHEET_COLUMNS,
        significance_level=SIGNIFICANCE_LEVEL,
        calibration_bins=CALIBRATION_BINS,
        made=datetime.now(UTC),
        torch=torch.__version__,
        preprocessing=PREPROCESSING,
        command=_command(a, b, first.dataset),
    )


def _names(a: Checkpoint, b: Checkpoint) -> tuple[str, str]:
    """What the report calls them: by their names, unless these are the same."""
    name_a, name_b = _printable(a.name), _printable(b.name)
    return (name_a, name_b) if name_a != name_b else (f"{name_a} (A)", f"{name_b} (B)")


def _command(a: Checkpoint, b: Checkpoint, dataset: str) -> str:
    """What makes the report again."""
    names = (_printable(a.name), _printable(b.name))
    return shlex.join(["python", "-m", "digitcore", "compare", *names, "--dataset", dataset, "--report", "report.html"])


def _warnings(checkpoint: Checkpoint, evaluation: Evaluation) -> Iterator[str]:
    trained_on = checkpoint.metadata.trained_on
    if evaluation.dataset in trained_on:
        yield f"{evaluation.checkpoint} was trained on {evaluation.dataset}: its figures here say little."
    if not trained_on:
        yield f"{evaluation.checkpoint} does not say what it was trained on: it may have seen these digits."


def _figures(checkpoint: Checkpoint, evaluation: Evaluation) -> dict[str, str]:
    """What the table says of one checkpoint, by the name of the row."""
    summary, metadata = summarize(evaluation), checkpoint.metadata
    low, high = summary.interval
    return {
        "Errors": f"{summary.errors:,}",
        "Accuracy": f"{summary.accuracy:.2%}",
        "95 % interval": f"{low:.2%} to {high:.2%}",
        "Log loss": f"{summary.nll:.4f} nats",
        "Calibration error": f"{summary.ece:.4f}",
        "Parameters": f"{checkpoint.parameters:,}",
        "Architecture": _said(metadata.architecture),
        "Recipe": _said(metadata.recipe.get("name")),
        "Seed": _said(metadata.seed),
        "Trained on": _said(", ".join(metadata.trained_on) or None),
        "Finished": _moment(metadata.provenance.get("finished")),
        "SHA-256": Markup('<code title="{}">{}…</code>').format(checkpoint.digest, checkpoint.digest[:12]),
    }


def _said(value: object) -> str:
    return "does not say" if value is None else _printable(str(value))


def _moment(written: object) -> str:
    """An ISO time without its seconds; anything else as it is."""
    try:
        return f"{datetime.fromisoformat(str(written)):%Y-%m-%d %H:%M %Z}"
    except ValueError:
        return _said(written)


def _printable(text: str) -> str:
    """Text without the characters that cannot be seen or encoded, or that turn the text after them around."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _charts(a: Evaluation, b: Evaluation, per_digit: pd.DataFrame) -> dict[str, Markup]:
    titles = (f"{a.checkpoint} says", f"{b.checkpoint} says")
    answers = confusion_heatmap(answer_matrix(a, b), order=list(range(10)), titles=titles)
    difference = confusion_difference(confusion_matrix(a.labels, a.logits), confusion_matrix(b.labels, b.logits))
    return {
        "per_digit": _draw(per_digit_chart(per_digit).properties(width=330, height=330)),
        "answers": _draw(answers.properties(width=350, height=350)),
        "difference": _draw(difference.properties(width=350, height=350)),
    }


def _draw(chart: Chart) -> Markup:
    """The chart as SVG, spoken as its description."""
    made = specification(chart) | {"config": _LOOK}
    svg = vl_convert.vegalite_to_svg(made)
    return Markup('<div class="chart" role="img" aria-label="{}">{}</div>').format(made["description"], Markup(svg))


def _galleries(a: Evaluation, b: Evaluation, pictures: DigitSet | None) -> list[_Gallery]:
    table = _answers(a, b)
    sorting: dict[Outcome, str] = {"only A": "apart", "only B": "apart", "neither": "loss"}
    made = []
    for outcome, by in sorting.items():
        found = table[table["outcome"] == outcome].sort_values(by, ascending=False, kind="stable")
        first = found.head(MOST_TILES)
        sheet = None
        if pictures is not None and len(first) > 0:
            row_of = {int(id_): row for row, id_ in enumerate(pictures.ids)}
            sheet = digit_sheet(pictures.images[[row_of[id_] for id_ in first["id"]]], columns=_SHEET_COLUMNS)
        made.append(_Gallery(outcome, len(found), first.to_dict("records"), sheet))
    return made


def _answers(a: Evaluation, b: Evaluation) -> pd.DataFrame:
    """One row a digit: those of `_Gallery.digits`, `outcome`, `apart` (distance of the two probabilities of the label,
    in [0, 1]) and `loss` (summed, in nats).
    """
    table_a, table_b = (digit_table(each.ids, each.labels, each.logits) for each in (a, b))
    return table_a[["id"]].assign(
        label=a.labels,
        disputed=table_a["id"].isin(disputed_ids(a.dataset)),
        answer_a=table_a["predicted"],
        answer_b=table_b["predicted"],
        confidence_a=table_a["confidence"],
        confidence_b=table_b["confidence"],
        outcome=outcomes(a, b),
        apart=np.abs(np.exp(-table_a["loss"]) - np.exp(-table_b["loss"])),
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
        "confidence": lambda share: f"{min(share, 0.999):.1%}",  # nothing is 100 % sure
        "p": lambda p: f"{p:.2g}" if p >= 0.0001 else "< 0.0001",
    }
    return environment.get_template("report.html").render(context)
