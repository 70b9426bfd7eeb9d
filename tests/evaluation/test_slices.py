"""Slices against pandas, scipy and statsmodels, and how often one is marked wrongly."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import fisher_exact
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from digitcore.data.datasets import DigitSet
from digitcore.data.own_datasets import PreparedDataset, keep_dataset, prepare_dataset
from digitcore.errors import DatasetError
from digitcore.evaluation.comparison import compare
from digitcore.evaluation.evaluation import Evaluation
from digitcore.evaluation.slices import (
    MOST_SLICES,
    NONE,
    OTHERS,
    Slices,
    compare_slices,
    slice_columns,
    slice_digits,
    slice_set,
    slice_table,
)
from digitcore.store.handwriting import HandwritingStore, HandwrittenDigit, new_key


def evaluation(wrong: NDArray[np.bool_], writers: NDArray[np.int64] | None = None, name: str = "made-up") -> Evaluation:
    """Digits that all are zeros, those that are wrong being taken for ones."""
    logits = np.zeros((len(wrong), 10), np.float32)
    logits[np.arange(len(wrong)), wrong.astype(np.int64)] = 5
    ids = np.arange(len(wrong))
    return Evaluation(name, "made-up", "", ids, np.zeros(len(wrong), np.int64), logits, writers)


def slices_of(column: str, values: list[str]) -> Slices:
    unique, codes = np.unique(values, return_inverse=True)
    return slice_digits(column, unique.tolist(), codes)


@pytest.fixture(scope="module")
def made_up() -> tuple[Evaluation, Slices, pd.DataFrame]:
    """Two thousand digits from four devices, of which one is worse."""
    generator = np.random.default_rng(0)
    devices = generator.choice(["pen", "phone", "scanner", "tablet"], 2_000, p=[0.1, 0.2, 0.3, 0.4])
    wrong = generator.random(2_000) < np.where(devices == "phone", 0.12, 0.04)
    return evaluation(wrong), slices_of("device", devices.tolist()), pd.DataFrame({"device": devices, "wrong": wrong})


def test_figures_are_those_of_pandas_scipy_and_statsmodels(made_up: tuple[Evaluation, Slices, pd.DataFrame]) -> None:
    answers, slices, frame = made_up
    table = slice_table(answers, slices).set_index("value")
    expected = frame.groupby("device")["wrong"].agg(["size", "sum", "mean"])
    assert table["accuracy"].is_monotonic_increasing
    assert set(table["writers"]) == {0}
    p = []
    for value in expected.index:
        row, (digits, errors, share) = table.loc[value], expected.loc[value]
        rest = frame["wrong"][frame["device"] != value]
        assert (row["digits"], row["errors"]) == (digits, errors)
        assert row["accuracy"] == pytest.approx(1 - share, abs=1e-12)
        assert row["rest"] == pytest.approx(1 - rest.mean(), abs=1e-12)
        interval = proportion_confint(digits - errors, digits, method="wilson")
        assert (row["low"], row["high"]) == pytest.approx(interval, abs=1e-9)
        counts = [[errors, digits - errors], [rest.sum(), (~rest).sum()]]
        p.append(fisher_exact(counts, alternative="greater").pvalue)
        assert row["p"] == pytest.approx(p[-1], rel=1e-9)
    marked, corrected, *_ = multipletests(p, method="holm")
    assert table.loc[expected.index, "holm_p"].to_numpy() == pytest.approx(corrected, rel=1e-9)
    assert table.loc[expected.index, "worse"].tolist() == marked.tolist() == [False, True, False, False]


def _wrongly_marked(tries: int, *, writers: int, digits: int, by_digit: bool, column: str = "device") -> float:
    """How often at least one of five equally bad slices is marked, where people differ as much as real ones do."""
    generator, marked = np.random.default_rng(1), 0
    people = np.repeat(np.arange(writers), digits)
    for _ in range(tries):
        rates = generator.beta(0.5, 9.5, writers)  # of errors; the mean is 5 %
        wrong = generator.random(len(people)) < rates[people]
        of_person = generator.permutation(np.arange(writers) % 5)
        values = generator.integers(0, 5, len(people)) if by_digit else of_person[people]
        slices = Slices(column, tuple("abcde"), values)
        marked += bool(slice_table(evaluation(wrong, people), slices)["worse"].any())
    return marked / tries


@pytest.mark.parametrize("by_digit", [True, False])
@pytest.mark.parametrize("writers", [10, 40])
def test_at_most_one_set_in_twenty_has_a_wrong_mark(writers: int, by_digit: bool) -> None:
    tries = 200
    share = _wrongly_marked(tries, writers=writers, digits=25, by_digit=by_digit)
    assert share <= 0.05 + 1.65 * np.sqrt(0.05 * 0.95 / tries)


def test_digits_that_count_one_by_one_would_be_marked_too_often() -> None:
    """What the writers are allowed for: the same digits, as if each were of another person."""
    assert _wrongly_marked(60, writers=40, digits=25, by_digit=False, column="writer") > 0.3


def test_a_slice_that_is_worse_is_found_though_people_differ() -> None:
    generator = np.random.default_rng(2)
    people = np.repeat(np.arange(60), 30)
    values = (people % 3 == 0).astype(np.int64)
    rates = np.where(np.arange(60) % 3 == 0, 0.3, 0.05) * generator.uniform(0.5, 1.5, 60)
    wrong = generator.random(len(people)) < rates[people]
    table = slice_table(evaluation(wrong, people), Slices("device", ("good", "bad"), values))
    assert table["value"].tolist() == ["bad", "good"]
    assert table["worse"].tolist() == [True, False]
    assert table["writers"].tolist() == [20, 40]


def test_one_writer_tells_nothing_about_others_but_all_about_oneself() -> None:
    people = np.repeat(np.arange(10), 50)
    wrong = (people == 3) & (np.arange(500) % 2 == 0)
    by_device = slice_table(evaluation(wrong, people), slices_of("device", [f"d{person}" for person in people]))
    assert by_device["p"].tolist() == [1.0] * 10
    assert (by_device["low"][0], by_device["high"][0]) == (0, 1)
    by_writer = slice_table(evaluation(wrong, people), slices_of("writer", [f"w{person}" for person in people]))
    assert by_writer["value"][by_writer["worse"]].tolist() == ["w3"]
    assert 0.3 < by_writer["low"][0] < 0.5 < by_writer["high"][0] < 0.7


def test_a_slice_that_is_all_is_compared_with_nothing() -> None:
    table = slice_table(evaluation(np.arange(20) < 5), slices_of("device", ["pen"] * 20))
    assert table["rest"].isna().all()
    assert table["p"].tolist() == [1.0]


def test_slices_of_another_set_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="slices must be of 20 digits, got 10"):
        slice_table(evaluation(np.zeros(20, bool)), slices_of("device", ["pen"] * 10))


def test_gains_and_losses_are_those_of_the_digits_alone(made_up: tuple[Evaluation, Slices, pd.DataFrame]) -> None:
    a, slices, frame = made_up
    wrong = frame["wrong"].to_numpy() & (frame["device"] != "phone").to_numpy()
    b = evaluation(wrong, name="better on phones")
    table = compare_slices(a, b, slices).set_index("value")
    assert table.index[0] == "phone"
    assert table.loc["phone", "holm_p"] < 0.001
    assert table.drop("phone")["difference"].tolist() == [0, 0, 0]
    others = a.ids[frame["device"] != "phone"]
    alone = compare(a.without(others), b.without(others))
    assert (table.loc["phone", "low"], table.loc["phone", "high"]) == alone.interval
    assert table.loc["phone", "mid_p"] == alone.mid_p


def test_many_numbers_become_bins_and_few_do_not() -> None:
    generator = np.random.default_rng(3)
    ages = [f"{age:.1f}" for age in generator.normal(40, 12, 1_000)] + [""] * 30
    slices = slices_of("age", ages)
    assert len(slices.values) == 9
    assert slices.values[-1] == NONE
    assert np.bincount(slices.codes)[-1] == 30
    assert np.bincount(slices.codes)[:-1].min() > 100
    for value in slices.values[:-1]:
        low, high = (float(end) for end in value.split(" to "))
        numbers = np.array([float(age) for age in np.array(ages)[slices.mask(value)]])
        assert (numbers.min(), numbers.max()) == (low, high)
    years = slices_of("year", [str(1990 + i % 12) for i in range(100)])
    assert years.values == tuple(str(1990 + i) for i in range(12))
    people = slices_of("writer", [str(i % 40) for i in range(400)])
    assert len(people.values) == 40


def test_text_is_cut_and_the_rarest_values_share_a_slice() -> None:
    long = "x" * 100
    values = [f"value {i}" for i in range(200) for _ in range(1 + (i < 60))] + [f"{long}a", f"{long}b", "a\u202eb", " "]
    slices = slices_of("place", values)
    assert len(slices.values) == MOST_SLICES
    assert slices.values[-1] == OTHERS or OTHERS in slices.values
    assert max(map(len, slices.values)) <= 60
    assert slices_of("place", [f"{long}a", f"{long}b"]).values == ("x" * 59 + "…",)
    assert slices_of("place", ["a\u202eb", " "]).values == (NONE, "a\ufffdb")
    assert not slices.mask("no such value").any()


def test_columns_of_an_added_set(tmp_path: Path, validation_digits: DigitSet) -> None:
    some = validation_digits.subset(np.arange(0, 5000, 50))
    devices = np.array(["pen", "phone"])[np.arange(len(some)) % 2]
    np.savez(tmp_path / "mine.npz", images=some.images, labels=some.labels, device=devices)
    *_, last = prepare_dataset(tmp_path / "mine.npz")
    assert isinstance(last, PreparedDataset)
    keep_dataset(last, "mine")
    assert slice_columns("mine") == ("device",)
    slices = slice_set("mine", "device")
    assert slices.values == ("pen", "phone")
    assert slices.codes.tolist() == [i % 2 for i in range(len(some))]
    with pytest.raises(DatasetError, match=r"mine has no column 'nosuch' to slice it by: device\."):
        slice_set("mine", "nosuch")
    assert slice_columns("uci-digits") == ()
    with pytest.raises(DatasetError, match=r"none is known\."):
        slice_set("uci-digits", "device")


@pytest.mark.needs_mnist
def test_mnist_is_sliced_by_kinds_of_people() -> None:
    assert slice_columns("mnist-validation") == ("group",)
    slices = slice_set("mnist-validation", "group")
    assert slices.values == ("Census employee", "High-school student")
    assert len(slices.codes) == 5_000


def test_handwriting_is_sliced_by_writer_and_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    monkeypatch.setenv("DIGITCORE_DATABASE_URL", url)
    picture = np.full((28, 28), 255, np.uint8)
    with closing(HandwritingStore(url)) as store:
        key = new_key()
        store.add(key, [HandwrittenDigit(picture, 3, "draw", writer=name) for name in ("Ada", "Ben", "Ada")])
    assert slice_columns(f"handwriting:{key}") == ("writer", "source")
    slices = slice_set(f"handwriting:{key}", "writer")
    assert slices.is_by_person
    assert (slices.values, slices.codes.tolist()) == (("Ada", "Ben"), [0, 1, 0])
    assert slice_set(f"handwriting:{key}", "source").values == ("draw",)
