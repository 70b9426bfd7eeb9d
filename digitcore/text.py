"""Text from anywhere, a file's name say, in Markdown."""

import re

__all__ = ["plain"]


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line; characters that cannot be seen become U+FFFD.

    >>> print(plain("a_b*"))
    a\_b\*
    """
    line = " ".join(text.split())
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~$:<>&])", r"\\\1", printable)
