"""What every model answers for one picture, a row for each; those that disagree stand out."""

import streamlit as st

from digitcore.evaluation.leaderboard import Standing
from digitcore.models.votes import Vote, majority
from digitcore.text import plain
from pages.parts.draw.read import ReadDigit
from pages.shared.background import placeholder, result_if_ready
from pages.shared.evaluations import standings
from pages.shared.pickers import picked_classifier, picked_dataset
from pages.shared.templates import show_template
from pages.shared.votes import votes_job
from pages.shared.words import dataset_label

_MOST = 12  # rows without being asked: the best, for a folder may hold hundreds


def opinions_panel(digit: ReadDigit) -> None:
    """A row for each checkpoint, the best first; those that disagree with the majority stand out."""
    everybody = standings(picked_dataset())
    picked = picked_classifier().checkpoint.name
    rows = everybody
    if len(everybody) > _MOST and not st.session_state.get("all-checkpoints"):
        rows = [standing for i, standing in enumerate(everybody) if i < _MOST or standing.entry.name == picked]
    with st.container():
        _votes(rows, digit, picked)
    if len(everybody) > _MOST:
        st.toggle(
            f"All {len(everybody)}",
            key="all-checkpoints",
            help="With hundreds of models this takes a moment.",
        )


def _votes(rows: list[Standing], digit: ReadDigit, picked: str) -> None:
    votes = result_if_ready("votes", votes_job, [standing.entry for standing in rows], digit.prediction.model_input)
    if votes is None:
        placeholder("Asking them all ...")
        return
    most = majority(votes)
    st.markdown(_in_words(votes, most))
    show_template(
        "votes.html",
        rows=[
            _row(standing, vote, differs=vote.digit != most, picked=vote.checkpoint == picked)
            for standing, vote in zip(rows, votes, strict=True)
        ],
    )
    st.caption(f"Fewest errors on {dataset_label(picked_dataset())} first.")


def _in_words(votes: list[Vote], most: int) -> str:
    others = [vote for vote in votes if vote.digit != most]
    if not others:
        return f"All {len(votes)} answer **{most}**." if len(votes) > 1 else f"The only one answers **{most}**."
    agreeing = f"{len(votes) - len(others)} of {len(votes)} answer **{most}**"
    if len(others) > 3:
        return f"{agreeing}; {len(others)} answer otherwise."
    return f"{agreeing}; {', '.join(f'{plain(other.checkpoint)} answers **{other.digit}**' for other in others)}."


def _row(standing: Standing, vote: Vote, *, differs: bool, picked: bool) -> dict[str, object]:
    notes = [word for word, applies in (("picked", picked), ("differs", differs)) if applies]
    return {
        "checkpoint": vote.checkpoint,
        "digit": vote.digit,
        "confidence": vote.confidence,
        "errors": "" if standing.summary is None else f"{standing.summary.errors:,}",
        "differs": differs,
        "picked": picked,
        "notes": ", ".join(notes),
    }
