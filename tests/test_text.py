"""`plain` against a CommonMark parser, `csv_cell` against readers of CSV: whatever the text, and wherever it stands."""

import csv
import html
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from digitcore.text import csv_cell, plain

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
WORD_JOINER = "\u2060"
PLACES = [
    ("{}", "<p>{}</p>"),
    ("Two\n{}", "<p>Two\n{}</p>"),
    ("# {}", "<h1>{}</h1>"),
    ("- {}", "<ul>\n<li>{}</li>\n</ul>"),
    ("**{}**: 3", "<p><strong>{}</strong>: 3</p>"),
    ("a, {}, b ({})", "<p>a, {0}, b ({0})</p>"),
    ("| a | b |\n| --- | --- |\n| {} | b |", "<td>{}</td>\n<td>b</td>\n</tr>\n</tbody>\n</table>"),
]
MARKUP = st.text(alphabet=r"""ab1_*`~\<>[](){}|!#+-=.:&;$"'/@ é²""", max_size=12)


@pytest.mark.parametrize(("markdown", "expected"), PLACES)
@given(text=st.text(max_size=40) | MARKUP)
@example("#")
@example("a #")
@example("---")
@example("1) a")
@example("1234567890. a")
@example("&amp; &#35; & &")
@example("a__b _c_ d_")
@example(r"\|")
@example("_Ⅷ_")
@example("<!-- a -->")
@example(":-")
def test_text_is_shown_as_it_is(markdown: str, expected: str, text: str) -> None:
    line = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in " ".join(text.split())
    )
    rendered = MARKDOWN.render(markdown.replace("{}", plain(line or "-")))
    expected_text = html.escape(line or "-").replace("&#x27;", "'")
    assert rendered.replace(WORD_JOINER, "").strip().endswith(expected.replace("{}", "{0}").format(expected_text))


@pytest.mark.parametrize(
    "text",
    [
        "world-compact.safetensors",
        "28x28 pixels",
        "x86_64",
        "torch 2.13.0+cpu, numpy 2.4.6",
        "MNIST as it is: what it is worth",
        "at 12:30 (#3)!",
        "R&D & so on",
        "snake_case_name",
    ],
)
def test_what_markdown_leaves_alone_is_not_escaped(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        (":red[x] ::a", r"\:red\[x\] :\:a"),
        ("$x$", r"\$x\$"),
        (":smile: :+1: :100: at 12:30:59", ":|smile: :|+1: :|100: at 12:30:59"),
        (":material/home: :streamlit:", ":|material/home: :|streamlit:"),
        ("https://a.b www.a.b WWW.a.b a@b.c", "https:|//a.b www|.a.b WWW|.a.b a|@b.c"),
        ("a -> b <- c -- d->e", r"a |-\> b |\<- c |-- d-\>e"),
    ],
)
def test_what_github_and_streamlit_add_is_prevented(text: str, markdown: str) -> None:
    """Directives, formulas, emoji, icons, addresses and arrows; here a bar stands for a word joiner."""
    assert plain(text) == markdown.replace("|", WORD_JOINER)


def test_it_is_one_line_of_characters_that_can_be_seen() -> None:
    text = plain("a\n\n# b\u202e\u200b\x00")
    assert text == "a # b" + "\N{REPLACEMENT CHARACTER}" * 3
    assert not re.search(r"\s{2}", text)


FORMULA_TEXT = st.text(alphabet="a1=+-@\uff1d;,\t\r\n \xa0\"'", max_size=10)


@given(rows=st.lists(st.lists(FORMULA_TEXT, min_size=2, max_size=2), min_size=1, max_size=3))
@example([["x", ';"=1+1"']])
@example([["\t=1", "a\n @SUM(1)"]])
def test_no_cell_of_a_table_is_a_formula(rows: list[list[str]]) -> None:
    """Whichever separator the spreadsheet takes: in many countries it is a semicolon."""
    table = io.StringIO(newline="")
    csv.writer(table).writerows([map(csv_cell, row) for row in rows])
    for separator in ",;\t":
        for line in csv.reader(io.StringIO(table.getvalue(), newline=""), delimiter=separator):
            for cell in line:
                assert cell.lstrip(' \xa0"')[:1] not in {*"=+-@\uff1d"}, (separator, table.getvalue())
                assert separator != "," or cell[:1] not in {*"\t\r\n"}


@pytest.mark.parametrize("value", [-1.5, -3, float("nan"), None, True, "", "a-b", "1.5", "x = 1", "7 @ noon", "'"])
def test_what_is_no_formula_stays_as_it_is(value: object) -> None:
    assert csv_cell(value) is value
