"""Tables as text: read again by other programs they are what they were, whatever is in them."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from digitcore.reports.tables import as_csv, as_latex, as_markdown

HOSTILE = [
    "a|b", "**bold**", "<script>", "50% & $x$ #_{}~^\\\\", "\\\\input{/etc/passwd}", "=1+1", "two\nlines",
    "[1pt] é ²", "",
]  # fmt: skip
TABLE = pd.DataFrame({"recipe_1": HOSTILE, "errors": [46.8, float("nan"), *range(7)], "runs": range(9)})
PAYLOADS = ["=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://a.b","x")', " =1", "a;=1"]


def test_text_is_kept_behind_an_apostrophe_and_numbers_stay_numbers() -> None:
    table = pd.DataFrame({"=head": PAYLOADS, "points": [-1.5, float("nan"), *range(-3, 4)], "known": True})
    read = pd.read_csv(io.StringIO(as_csv(table), newline=""))
    assert list(read) == ["'=head", "points", "known"]
    assert [text.replace("'", "") for text in read["'=head"]] == PAYLOADS
    assert all("'" in text for text in read["'=head"])
    pd.testing.assert_series_equal(read["points"], table["points"])
    pd.testing.assert_series_equal(read["known"], table["known"])


def test_markdown_is_a_table_of_the_same_cells() -> None:
    page = MarkdownIt("commonmark").enable("table").render(as_markdown(TABLE))
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    assert len(cells) == len(TABLE) + 1
    assert all(len(row) == 3 for row in cells)
    assert [row[0].replace("\u2060", "") for row in cells[1:4]] == ["a|b", "**bold**", "&lt;script&gt;"]
    assert [row[1] for row in cells[1:4]] == ["46.8", "", "0.0"]


def test_latex_has_no_command_of_a_file() -> None:
    lines = as_latex(TABLE).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert len(lines) == 4 + len(TABLE) + 2
    assert lines[2] == r"recipe\_1 & errors & runs \\"
    for line in lines[4:-2]:
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == 2
    assert r"\textbackslash{}input\{/etc/passwd\}" in lines[8]
    body = "\n".join(lines[4:-2])
    allowed = r"\\text(?:backslash|asciitilde|asciicircum|less|greater|bar)"
    assert re.findall(r"\\[a-zA-Z]+", body) == re.findall(allowed, body)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_takes_it(tmp_path: Path) -> None:
    document = "\\documentclass{article}\n\\begin{document}\n" + as_latex(TABLE) + "\\end{document}\n"
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
