"""What every checkpoint says about one picture, a compact row each; who disagrees stands out."""

import html

import streamlit as st

from digitcore.evaluation.leaderboard import Standing
from digitcore.models.votes import Opinion, ask_all, majority
from pages.parts.draw.read import ReadDigit
from pages.shared import resources
from pages.shared.panels import percent, picked_classifier, picked_dataset, plain

_MOST = 12  # rows without being asked: the best, for a folder may hold hundreds
_STYLE = """<style>
.opinions {border-collapse: collapse; width: 100%; max-width: 700px; table-layout: fixed;
  font-variant-numeric: tabular-nums}
.opinions th {text-align: left; font-size: .8rem; font-weight: 400; opacity: .8}
.opinions td, .opinions th {padding: .2rem .4rem; border: 0}
.opinions td:first-child, .opinions th:first-child {border-left: 4px solid transparent; overflow-wrap: anywhere}
.opinions tr.differs td {background: rgba(217, 130, 43, .16)}
.opinions tr.differs td:first-child {border-left-color: #d9822b}
.opinions .said {font-size: 1.25rem; font-weight: 700; line-height: 1.4}
.opinions .sure {display: grid; grid-template-columns: minmax(2rem, 1fr) 3.6rem; gap: .6rem; align-items: center}
.opinions .track {height: .6rem; border-radius: .2rem; background: rgba(128, 128, 128, .18)}
.opinions .bar {height: 100%; border-radius: .2rem; background: rgba(128, 128, 128, .8)}
.opinions .sure span, .opinions .errors {text-align: right}
.opinions small {opacity: .8; white-space: nowrap}
.opinions col:nth-child(1) {width: 32%}
.opinions col:nth-child(2) {width: 3rem}
.opinions col:nth-child(4) {width: 4rem}
</style>"""
_HEAD = (
    "<colgroup><col><col><col><col></colgroup>"
    '<tr><th>checkpoint</th><th>says</th><th>how sure</th><th class="errors">errors</th></tr>'
)


def opinions_panel(digit: ReadDigit) -> None:
    """A row a checkpoint, the best on the picked digits first, and who does not say what most say."""
    standings = resources.standings(picked_dataset())
    picked = picked_classifier().checkpoint.name
    shown = standings
    if len(standings) > _MOST and not st.session_state.get("all-checkpoints"):
        shown = [each for i, each in enumerate(standings) if i < _MOST or each.entry.name == picked]
    classifiers = [resources.classifier(standing.entry.name) for standing in shown]
    opinions = ask_all(classifiers, digit.prediction.model_input)
    most = majority(opinions)
    st.markdown(_in_words(opinions, most))
    rows = [
        _row(standing, opinion, differs=opinion.digit != most, picked=opinion.checkpoint == picked)
        for standing, opinion in zip(shown, opinions, strict=True)
    ]
    st.html(f'{_STYLE}<table class="opinions" data-testid="opinions">{_HEAD}{"".join(rows)}</table>')
    st.caption(f"Fewest errors on {picked_dataset()} first.")
    if len(standings) > _MOST:
        st.toggle(f"All {len(standings)}", key="all-checkpoints", help="Hundreds take a moment with each stroke.")


def _in_words(opinions: list[Opinion], most: int) -> str:
    others = [opinion for opinion in opinions if opinion.digit != most]
    if not others:
        return f"All {len(opinions)} say **{most}**." if len(opinions) > 1 else f"The only one says **{most}**."
    agreeing = f"{len(opinions) - len(others)} of {len(opinions)} say **{most}**"
    if len(others) > 3:
        return f"{agreeing}; {len(others)} say otherwise."
    return f"{agreeing}; {', '.join(f'{plain(each.checkpoint)} says **{each.digit}**' for each in others)}."


def _row(standing: Standing, opinion: Opinion, *, differs: bool, picked: bool) -> str:
    name = html.escape(opinion.checkpoint)
    notes = [word for word, applies in (("picked", picked), ("differs", differs)) if applies]
    errors = "" if standing.summary is None else f"{standing.summary.errors:,}"
    return (
        f'<tr class="{"differs" if differs else ""}">'
        f"<td>{f'<b>{name}</b>' if picked else name} <small>{', '.join(notes)}</small></td>"
        f'<td class="said">{opinion.digit}</td>'
        f'<td><div class="sure"><div class="track"><div class="bar" '
        f'style="width: {opinion.confidence:.2%}"></div></div><span>{percent(opinion.confidence)}</span></div></td>'
        f'<td class="errors">{errors}</td></tr>'
    )
