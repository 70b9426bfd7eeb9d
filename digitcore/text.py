"""Escaping of text from outside, such as a file's name or metadata."""

import re

__all__ = ["plain", "printable"]

_ALWAYS = r"[\\`*<>\[\]|~$]"
_LINE_START = r"\A[-+=#]|\A:(?=-)"
_HEADING_END = r"(?:(?<=\s)|\A)#(?=#*\Z)"
_UNDERSCORE = r"(?<![^\W_])_|_(?![^\W_])"
_ENTITY = r"&(?=#?\w+;)"
_COLON = r":(?=[A-Za-z/]|[\w+-]+:)"
_ADDRESS = r"(?<=www)\."
_MARKUP = re.compile("|".join((_ALWAYS, _LINE_START, _HEADING_END, _UNDERSCORE, _ENTITY, _COLON, _ADDRESS)), re.I)
_LIST_NUMBER = re.compile(r"\A(\d+)([.)])(?=\s|\Z)")


def plain(text: str) -> str:
    r"""Markdown that is shown as this text, on one line; characters that cannot be seen become U+FFFD.

    Only what Markdown would interpret at its place is escaped, so that the source stays readable. It holds for
    CommonMark with tables, strikethrough, web addresses, formulas and emoji as GitHub has them, and for Streamlit's
    directives. The result may stand at the start of a paragraph, heading or table cell, or between spaces or marks.

    >>> print(plain("world-compact.onnx, x86_64: a*b*"))
    world-compact.onnx, x86_64: a\*b\*
    >>> print(plain("- :red[1.] _b_"))
    \- \:red\[1.\] \_b\_
    """
    line = printable(" ".join(text.split()))
    return _LIST_NUMBER.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))


def printable(text: str) -> str:
    r"""The text with U+FFFD for each character that cannot be seen or encoded, line breaks included.

    >>> printable("a\nb")
    'a�b'
    """
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
