"""Tables to download: text from outside is no formula, figures are what they were."""

import io

import pandas as pd

from pages.shared.csv_button import as_csv

PAYLOADS = ["=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://a.b","x")', " =1", "a;=1"]


def test_text_is_kept_behind_an_apostrophe_and_numbers_stay_numbers() -> None:
    table = pd.DataFrame({"=head": PAYLOADS, "points": [-1.5, float("nan"), *range(-3, 4)], "known": True})
    read = pd.read_csv(io.StringIO(as_csv(table), newline=""))
    assert list(read) == ["'=head", "points", "known"]
    assert [text.replace("'", "") for text in read["'=head"]] == PAYLOADS
    assert all("'" in text for text in read["'=head"])
    pd.testing.assert_series_equal(read["points"], table["points"])
    pd.testing.assert_series_equal(read["known"], table["known"])
