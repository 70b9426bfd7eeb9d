"""The leaderboard: all models in order, what they cost, and how to add your own."""

import base64
from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from digitcore.data.datasets import is_available
from digitcore.errors import DigitcoreError
from digitcore.evaluation.evaluation import Summary
from digitcore.evaluation.leaderboard import ELSEWHERE, Standing, efficient_frontier, ordinal
from digitcore.evaluation.timing import known_milliseconds, milliseconds_per_digit
from digitcore.formats.endings import READ, ending_of
from digitcore.models.conventions import INKS, SCALES, describe_input
from digitcore.models.library import UnusableCheckpoint
from digitcore.settings import load_settings
from digitcore.text import plain
from pages.parts.compare.comparisons import cost_specification
from pages.parts.compare.own_files import own_files_view
from pages.parts.compare.recipes import recipes_view
from pages.shared.about import about_button
from pages.shared.csv_button import csv_button
from pages.shared.error_box import error_box, visible
from pages.shared.evaluations import evaluated, standings
from pages.shared.pickers import picked_dataset
from pages.shared.progress import report_on
from pages.shared.resources import checkpoint_library, may_add, named_classifier
from pages.shared.state import CHECKPOINT, compare_several, compare_two, show_errors
from pages.shared.templates import render
from pages.shared.words import dataset_label

_COSTS = {"parameters": "parameters", "milliseconds": "milliseconds per digit on one core"}
_TICKED, _FAILURES, _UPLOADS, _ADDED = "ticked-checkpoints", "failed-evaluations", "uploads", "added-checkpoint"
_BAR_WIDTH, _BAR_HEIGHT = 120, 30
_FIND_OUT = "find out"
_INPUT_HELP = (
    "Which pixels the network expects. normalised: (pixel - 0.1307) / 0.3081; unit: 0 to 1; centred: -1 to 1; "
    "bytes: 0 to 255; find out: as the file declares, else what suits it best on validation digits. "
    "Ink is bright on black, or dark on white."
)


def leaderboard_view() -> None:
    """The leaderboard on the picked digits."""
    dataset = picked_dataset()
    if dataset == "mnist-test":
        st.caption("The test set is for reporting: to choose between models, pick mnist-validation.")
    everybody = standings(dataset)
    if not everybody:
        st.info("There is no model yet: train one (`python -m digitcore train quick`), or add one below.")
    _show_news(everybody)
    _offer_missing(everybody, dataset)
    words = st.text_input(
        "Filter", placeholder="Filter by name, recipe or architecture", key="filter", bind="query-params",
        label_visibility="collapsed", icon=":material/search:",
    )  # fmt: skip
    rows = [standing for standing in everybody if words.lower() in _words(standing)]
    _table(rows, dataset)
    recipes_view(rows, dataset)
    _unusable()
    _cost(rows)
    if may_add():
        _add(dataset)
        own_files_view()


def _words(standing: Standing) -> str:
    """What the filter searches, in lower case."""
    metadata = standing.entry.metadata
    return f"{standing.entry.name} {metadata.recipe.get('name', '')} {metadata.architecture}".lower()


def _offer_missing(standings: list[Standing], dataset: str) -> None:
    """Offers to evaluate and to measure what has no figures here yet."""
    missing = [
        (standing.entry.name, name)
        for standing in standings
        if standing.entry.metadata.has_network
        for name in dict.fromkeys((dataset, *ELSEWHERE))
        if not _is_known(standing, name, dataset) and _can_be_known(standing, name, dataset)
    ]
    if not missing:
        return
    waiting = [standing.entry.name for standing in standings if _awaits_evaluation(standing, dataset)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_missing_in_words(waiting), width="content")
        begin = st.button("Evaluate" if waiting else "Measure", icon=":material/play_arrow:")
        if begin:
            st.button("Stop", icon=":material/stop:", help="Finished evaluations are kept.")
    if not begin:
        return
    bar = st.progress(0.0)
    for i, (checkpoint, name) in enumerate(missing):  # a click anywhere ends this
        words = f"{checkpoint} on {dataset_label(name)}: {i + 1} of {len(missing)}"
        _evaluate(checkpoint, name, report_on(bar, words, start=i / len(missing), end=(i + 1) / len(missing)))
    st.rerun()


def _missing_in_words(waiting: list[str]) -> str:
    """waiting: those that have not been evaluated on all digits; of all others the speed is missing."""
    if not waiting:
        return "Speed not measured here yet."
    return (
        f"{len(waiting)} models not evaluated yet." if len(waiting) > 1 else f"{plain(waiting[0])} not evaluated yet."
    )


def _awaits_evaluation(standing: Standing, dataset: str) -> bool:
    if not standing.entry.metadata.has_network:
        return False
    known = standing.elsewhere.keys() | ({dataset} if standing.summary is not None else set())
    return any(is_available(name) for name in {dataset, *ELSEWHERE} - known)


def _can_be_known(standing: Standing, name: str, dataset: str) -> bool:
    """Whether the digits are here; to measure the speed takes none."""
    return is_available(name) or (name == dataset and standing.summary is not None)


def _is_known(standing: Standing, name: str, dataset: str) -> bool:
    if name == dataset:
        return standing.summary is not None and standing.milliseconds is not None
    return name in standing.elsewhere


def _evaluate(checkpoint: str, dataset: str, progress: Callable[[float], None]) -> bool:
    """Evaluates a checkpoint; False where that failed, and the page then shows why."""
    try:
        classifier = named_classifier(checkpoint)
        evaluated(classifier, dataset, progress)
        if known_milliseconds(classifier.checkpoint.digest) is None:
            milliseconds_per_digit(classifier)
    except DigitcoreError as error:
        st.session_state.setdefault(_FAILURES, []).append(str(error))
        return False
    return True


def _show_news(standings: list[Standing]) -> None:
    for failure in st.session_state.pop(_FAILURES, []):
        st.error(visible(failure), icon=":material/error:")
    added = st.session_state.pop(_ADDED, None)
    ranks = [standing for standing in standings if standing.summary is not None]
    for place, standing in enumerate(ranks, start=1):
        if standing.entry.name == added:
            _welcome(standing, place=place, count=len(ranks))


def _welcome(standing: Standing, *, place: int, count: int) -> None:
    """How a model that was just added does, and its comparison with the one that the dashboard starts with."""
    name = standing.entry.name
    errors = standing.summary.errors if standing.summary else 0
    rivals = [
        rival for rival in (checkpoint_library().default_name(), *checkpoint_library().usable_names()) if rival != name
    ]
    words = f"{plain(name)}: {errors:,} {'error' if errors == 1 else 'errors'}, {ordinal(place)} of {count}."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.success(words, icon=":material/check:", width=360)
        for rival in rivals[:1]:
            st.button(
                f"Compare with {plain(rival)}", icon=":material/compare_arrows:", on_click=compare_two,
                args=(rival, name),
            )  # fmt: skip


def _table(standings: list[Standing], dataset: str) -> None:
    if not standings:
        if st.session_state["filter"]:
            st.info("No model has such a name, recipe or architecture.")
        return
    figures = _figures(standings)
    table = figures.copy()
    table.insert(3, "bar", pd.Series(_interval_pictures(standings), index=figures.index, dtype=object))
    names = [standing.entry.name for standing in standings]
    ticked = st.session_state.get(_TICKED, [])
    key = f"outside-standings-{hash((dataset, *names))}"  # ticks belong to places, which change with the order
    picked = st.dataframe(
        table, hide_index=True, on_select="rerun", selection_mode="multi-row", key=key,
        column_config=_columns(), height=min(38 + 35 * len(table), 560), placeholder="",
        selection_default={"selection": {"rows": [names.index(name) for name in ticked if name in names]}},
    )  # fmt: skip
    hidden = [name for name in ticked if name not in names and name in checkpoint_library().usable_names()]
    names = hidden + [names[row] for row in picked.selection.rows]
    st.session_state[_TICKED] = names
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            "A against B", icon=":material/compare_arrows:", disabled=len(names) != 2, on_click=compare_two,
            args=tuple(names[:2]) if len(names) == 2 else None, help="Tick two models.",
        )  # fmt: skip
        st.button(
            "Together", icon=":material/stacks:", disabled=len(names) < 2, on_click=compare_several, args=(names,),
            help="Tick two or more: pairs, common errors, and their average.",
        )  # fmt: skip
        if st.button(
            "Errors", icon=":material/image_search:", disabled=len(names) != 1, help="Tick one model.",
            on_click=_pick, args=(*names[:1],),
        ):  # fmt: skip
            show_errors()
        about_button(names[0] if len(names) == 1 else None, label="About", key="about-ticked")
        if hidden:
            st.caption(f"Also ticked: {plain(', '.join(hidden))}", width="content")
        csv_button("CSV", lambda: figures, f"leaderboard-{dataset}.csv")


def _pick(name: str) -> None:
    """Picks the checkpoint for every page; for callbacks."""
    st.session_state[CHECKPOINT] = name


def _figures(standings: list[Standing]) -> pd.DataFrame:
    """One row for each checkpoint; shares as percentages."""
    rows = []
    for standing in standings:
        entry, summary, metadata = standing.entry, standing.summary, standing.entry.metadata
        row = {
            "checkpoint": entry.name,
            "recipe errors": standing.by_seed,
            "errors": summary and summary.errors,
            "accuracy": summary and 100 * summary.accuracy,
        }
        for name in ELSEWHERE:
            other = standing.elsewhere.get(name)
            row |= {name: other and 100 * other.accuracy, f"{name} interval": other and _in_percent(other.interval)}
        row |= {
            "caution": "; ".join(f"{caution} {name}" for name, caution in standing.cautions.items()),
            "parameters": entry.parameters,
            "milliseconds": standing.milliseconds,
            "log loss": summary and summary.nll,
            "calibration error": summary and 100 * summary.ece,
            "calibration error interval": summary and _in_percent(summary.ece_interval),
            "low": summary and 100 * summary.interval[0],
            "high": summary and 100 * summary.interval[1],
            "kB": entry.size / 1000,
            "recipe": metadata.recipe.get("name", ""),
            "architecture": metadata.architecture,
            "input": describe_input(metadata.provenance),
            "checksum": "" if entry.is_verified else "unverified",
            "trained on": ", ".join(metadata.trained_on),
            "chosen on": ", ".join(metadata.chosen_on),
            "finished": str(metadata.provenance.get("finished", ""))[:10],
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _in_percent(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * low:.2f} to {100 * high:.2f}"


def _columns() -> dict[str, ColumnConfig]:
    number = st.column_config.NumberColumn
    intervals = (*ELSEWHERE, "calibration error")
    return {
        "checkpoint": st.column_config.TextColumn("model", pinned=True),
        "recipe errors": st.column_config.TextColumn(
            "errors of its recipe",
            help="Mean, least and most errors when its recipe is run with several seeds: what to expect of it. The "
            "model itself is one of these runs. Empty: run once.",
        ),
        "errors": number(format="%,d", width="small"),
        "bar": st.column_config.ImageColumn(
            "95% interval",
            help="Further right is better. The interval of the accuracy, on a logarithmic scale of the errors. It "
            "allows for writers where they are known.",
            width=150,
        ),
        "accuracy": number("accuracy, %", format="%.2f"),
        "low": number("accuracy from", format="%.2f", width="small"),
        "high": number("to", format="%.2f", width="small"),
        "log loss": number(format="%.4f"),
        "calibration error": number(
            "calibration error, %",
            format="%.2f",
            help="How far its confidence is from the truth, over 15 equally wide bins.",
        ),
        **{f"{name} interval": st.column_config.TextColumn("95% interval") for name in intervals},
        "pen-digits": number("pen digits, %", format="%.2f", help="1,248 digits drawn by five people."),
        "uci-digits": number("UCI digits, %", format="%.2f", help="1,797 digits of other writers, 8 × 8 pixels."),
        "caution": st.column_config.TextColumn(
            width="medium",
            help="Digits that the model was trained or chosen on: its figures there look better than they are.",
        ),
        "parameters": number(format="%,d"),
        "checksum": st.column_config.TextColumn(help="unverified: not one of the models that came with the program."),
        "kB": number(format="%,.0f", width="small"),
        "milliseconds": number(
            "ms",
            format="%.2f",
            width="small",
            help="How long one digit takes, in milliseconds, on one core of this machine.",
        ),
    }


def _interval_pictures(standings: list[Standing]) -> list[str | None]:
    """A small picture of each interval, on a logarithmic scale of the share of errors, as a data address."""
    summaries = [standing.summary for standing in standings if standing.summary is not None]
    if not summaries:
        return [None] * len(standings)
    best = np.log(max(min(1 - summary.interval[1] for summary in summaries), 1e-6))
    worst = np.log(max(max(1 - summary.interval[0] for summary in summaries), 2e-6))

    def place(accuracy: float) -> float:
        share = (worst - np.log(max(1 - accuracy, 1e-6))) / max(worst - best, 1e-9)
        return float(np.clip(4 + (_BAR_WIDTH - 8) * share, 2, _BAR_WIDTH - 2))

    return [None if standing.summary is None else _bar(standing.summary, place) for standing in standings]


def _bar(summary: Summary, place: Callable[[float], float]) -> str:
    low, high = summary.interval
    svg = render(
        "interval.svg",
        width=_BAR_WIDTH,
        height=_BAR_HEIGHT,
        left=place(low),
        middle=place(summary.accuracy),
        right=place(high),
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _unusable() -> None:
    unusable = [entry for entry in checkpoint_library().entries() if isinstance(entry, UnusableCheckpoint)]
    problems = [entry for entry in unusable if not entry.is_pending]
    if problems:
        with st.expander(
            f"{len(problems)} {'files' if len(problems) > 1 else 'file'} cannot be used", icon=":material/warning:"
        ):
            for entry in problems:
                st.markdown(f"**{plain(entry.path.name)}**: {visible(entry.problem)}")


def _cost(standings: list[Standing]) -> None:
    networks = [standing for standing in standings if standing.entry.metadata.has_network]
    rows = [_cost_row(standing, standing.summary) for standing in networks if standing.summary is not None]
    if len(rows) < 2:
        return
    st.header("Errors against cost", anchor=False)
    cost = st.segmented_control(
        "Cost", list(_COSTS), default="parameters", required=True, key="cost", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    table = pd.DataFrame(rows).dropna(subset=[cost])
    if table.empty:
        st.caption("Speed not measured here yet.")
        return
    table["efficient"] = efficient_frontier(table[cost].to_numpy(float), table["errors"].to_numpy(float))
    st.vega_lite_chart(
        cost_specification(table, cost=cost, title=_COSTS[cost], selected=st.session_state.get(CHECKPOINT)),
        key="cost-chart", on_select=_take_selection
    )  # fmt: skip
    st.caption(
        "Click a point to pick that model on every page. On the dashed line: no other one is both better and cheaper."
    )


def _cost_row(standing: Standing, summary: Summary) -> dict[str, object]:
    low, high = summary.interval
    return {
        "checkpoint": standing.entry.name,
        "errors": summary.errors,
        "low": (1 - high) * summary.digits,
        "high": (1 - low) * summary.digits,
        "parameters": standing.entry.parameters,
        "milliseconds": standing.milliseconds,
    }


def _take_selection() -> None:
    points = st.session_state["cost-chart"]["selection"].get("checkpoint", [])
    if points:
        _pick(points[0]["checkpoint"])


def _add(dataset: str) -> None:
    with st.expander("Add your own", icon=":material/upload:"):
        st.caption(
            "It goes into the weights folder, for everybody who uses this server, and is evaluated at once. "
            "`torch.save(model.state_dict(), ...)` makes a .pt file that works. Of a model of any other kind, add its "
            "answers: a CSV with the columns `p0` to `p9`, or `prediction`."
        )
        count = st.session_state.setdefault(_UPLOADS, 0)
        uploaded = st.file_uploader(
            "A model file", type=list(READ), label_visibility="collapsed", key=f"upload-{count}",
            max_upload_size=max(1, load_settings().max_checkpoint_bytes // 1_000_000),
        )  # fmt: skip
        reader = READ.get(ending_of(uploaded.name)) if uploaded is not None else None
        layers = ""
        if reader in ("torch", "safetensors"):
            layers = st.text_area(
                "Layers", placeholder="Only for a network that is refused: the message then has a draft.", height=80,
                help="One layer a line, as in nn.Sequential, with its name in the file: `conv1: Conv2d(1, 32, 3)`.",
            )  # fmt: skip
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            scale = st.selectbox("Input", [_FIND_OUT, *SCALES], help=_INPUT_HELP, width=180)
            ink = st.selectbox("Ink", INKS, width=120)
            added = st.button("Add", icon=":material/add:", disabled=uploaded is None)
        if not added or uploaded is None:
            return
        is_declared = reader != "answers" and scale != _FIND_OUT
        with error_box():
            entry = checkpoint_library().add(
                uploaded.name, uploaded.getvalue(), convention={"scale": scale, "ink": ink} if is_declared else None,
                layers=layers,
            )  # fmt: skip
            st.session_state[_UPLOADS] = count + 1
            report = report_on(st.progress(0.0), f"Evaluating {entry.name} on {dataset} ...")
            if _evaluate(entry.name, dataset, report):
                st.session_state[_ADDED] = entry.name
            st.rerun()
