"""Escaping of text from outside, such as a file's name or metadata, for Markdown, spreadsheets and LaTeX."""

import re

__all__ = ["csv_cell", "latex", "plain", "printable"]

_MARKUP = re.compile(
    "|".join(
        (
            r"[\\`*<>\[\]|~$]",  # anywhere
            r"\A[-+=#]",  # lists, rules, headings
            r"\A:(?=-)",  # the second row of a table
            r"(?:(?<=\s)|\A)#(?=#*\Z)",  # the end of a heading
            r"(?<![^\W_])_|_(?![^\W_])",  # emphasis, which is not inside a word
            r"&(?=#?\w+;)",  # character references
            r":(?=[A-Za-z])",  # directives
        )
    )
)
_LIST_NUMBER = re.compile(r"\A(\d+)([.)])(?=\s|\Z)")
_REPLACED = re.compile(
    "|".join(
        (
            r"(?<=:)(?=[\w+-]*[a-z+-][\w+-]*:|1(?:00|234):|material/)",  # emoji, icons
            r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\w)(?=@\w)",  # addresses
            r"(?<!\S)(?=(?:<->|->|<-|--|>=|<=|~=)(?!\S))",  # arrows and dashes
        )
    ),
    re.IGNORECASE,
)
_WORD_JOINER = "\u2060"
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
}  # fmt: skip
_FORMULA = re.compile(
    "|".join(
        (
            r"\A(?=[\t\r\n])",
            r"(?:\A|[;\t\r\n])(?=(?:[^\S\t\r\n]|\")*[=+\-@\uff1d\uff0b\uff0d\uff20])",  # the last four are full-width
        )
    )
)


def plain(text: str) -> str:
    r"""Markdown that is shown as this text, on one line; characters that cannot be seen become U+FFFD.

    Only what Markdown would interpret at its place is escaped, so that the source stays readable. GitHub and Streamlit
    replace emoji, icons, addresses and arrows after parsing, escaped or not: an invisible word joiner prevents that.
    The result may stand at the start of a paragraph, heading or table cell, or between spaces or marks.

    >>> print(plain("world-compact.onnx, x86_64: a*b*"))
    world-compact.onnx, x86_64: a\*b\*
    >>> print(plain("- :red[1.] _b_"))
    \- \:red\[1.\] \_b\_
    """
    line = _REPLACED.sub(_WORD_JOINER, printable(" ".join(text.split())))
    return _LIST_NUMBER.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))


def printable(text: str) -> str:
    r"""The text with U+FFFD for each character that cannot be seen or encoded, line breaks included.

    >>> printable("a\nb")
    'a�b'
    """
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def csv_cell(value: object) -> object:
    """A cell of a CSV file: text that a spreadsheet would take for a formula gets an apostrophe in front.

    So does what follows a semicolon, a tab or a line break, which begins a cell where these separate cells. Numbers
    stay numbers.

    Source: OWASP, "CSV injection".

    >>> [csv_cell(value) for value in ("=1+1", "a; @b", "a-b", -1.5)]
    ["'=1+1", "a;' @b", 'a-b', -1.5]
    """
    return _FORMULA.sub(r"\g<0>'", value) if isinstance(value, str) else value


def latex(text: str) -> str:
    r"""LaTeX that prints this text, on one line.

    >>> print(latex("best_of & 50% \\input{x}"))
    best\_of \& 50\% \textbackslash{}input\{x\}
    """
    return "".join(_LATEX.get(character, character) for character in printable(" ".join(text.split())))
