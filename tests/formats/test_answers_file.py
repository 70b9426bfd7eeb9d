"""Tables of answers in all their forms, and what is wrong with those that cannot be used."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from digitcore.formats.answers_file import AnswersError, AnswerTable, is_sure_of_all, read_answers

COUNT = 120
GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 10, COUNT)
PROBABILITIES = softmax(GENERATOR.normal(0, 3, (COUNT, 10)), axis=1)
IDS = GENERATOR.permutation(COUNT) + 7


def _frame(start: str, values: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame({"id": IDS, "label": LABELS} | {f"{start}{i}": values[:, i] for i in range(10)})


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def _npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _read(data: bytes, ending: str = ".csv") -> AnswerTable:
    return read_answers(io.BytesIO(data), ending=ending)


LOGITS = np.log(PROBABILITIES) + GENERATOR.normal(0, 5, (COUNT, 1))
GOOD = {
    "probabilities as CSV": (_csv(_frame("p", PROBABILITIES)), ".csv"),
    "columns named otherwise": (_csv(_frame("Prob_", PROBABILITIES).rename(columns={"label": "True"})), ".csv"),
    "logits as CSV": (_csv(_frame("logit_", LOGITS)), ".csv"),
    "npz": (_npz(ids=IDS, labels=LABELS, probabilities=PROBABILITIES, dataset="mine"), ".npz"),
    "logits as npz": (_npz(id=IDS, label=LABELS, logits=LOGITS), ".npz"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_all_say_the_same(kind: str) -> None:
    data, ending = GOOD[kind]
    table = _read(data, ending)
    assert table.ids is not None
    assert table.labels is not None
    assert np.array_equal(table.ids, IDS)
    assert np.array_equal(table.labels, LABELS)
    assert softmax(table.logits, axis=1) == pytest.approx(PROBABILITIES, abs=1e-13)
    assert table.dataset == ("mine" if kind == "npz" else None)
    assert not is_sure_of_all(table.logits)


def test_parquet_says_the_same() -> None:
    pytest.importorskip("pyarrow")
    table = _read(_parquet(_frame("p", PROBABILITIES).assign(set="mnist-test")), ".parquet")
    assert softmax(table.logits, axis=1) == pytest.approx(PROBABILITIES, abs=1e-15)
    assert table.dataset == "mnist-test"


def test_parquet_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(AnswersError, match="pip install pyarrow"):
        _read(b"PAR1", ".parquet")


def test_the_answers_alone_are_sure() -> None:
    table = _read(_csv(pd.DataFrame({"prediction": LABELS})))
    assert np.array_equal(table.logits.argmax(axis=1), LABELS)
    assert is_sure_of_all(table.logits)
    assert (table.ids, table.labels, table.dataset) == (None, None, None)


P = {f"p{i}": [0.1] for i in range(10)}
BAD = {
    "empty": (b"", "cannot be read"),
    "no columns of answers": (b"id,label\n1,2\n", "holds no answers: it needs the columns p0 to p9"),
    "no rows": (b"prediction\n", "has no rows"),
    "binary": (bytes(range(256)) * 40, "cannot be read|holds no answers"),
    "label 10": (b"prediction,label\n3,10\n", "has as label 10 in row 0: a digit from 0 to 9"),
    "answer 3.5": (b"prediction\n3\n3.5\n", r"has as prediction 3\.5 in row 1"),
    "word": (b"prediction\nthree\n", "something else than numbers as prediction"),
    "missing value": (b"prediction,label\n3,\n", "missing or infinite as label, first in row 0"),
    "two sets": (b"prediction,set\n3,a\n4,b\n", "names 2 sets, first a, b"),
    "twice": (b"id,prediction\n5,1\n5,2\n", "has the id 5 twice"),
    "nine columns": (_csv(pd.DataFrame({**P}).drop(columns="p4")), "has no column p4"),
    "sum": (_csv(pd.DataFrame({**P, "p1": [0.4]})), "do not add up to 1, first in row 0"),
    "negative": (_csv(pd.DataFrame({**P, "p1": [-0.1], "p2": [0.3]})), "negative or do not add up"),
    "NaN": (_csv(pd.DataFrame({**P, "p1": [np.nan]})), "missing or infinite as probabilities"),
    "ragged": (b"id,prediction\n1,2\n1,2,3,4\n", "cannot be read"),
    "too wide": (b",".join(b"c%d" % i for i in range(300)) + b"\n", "more than .* 200 columns"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_is_said(kind: str) -> None:
    data, reason = BAD[kind]
    with pytest.raises(AnswersError, match=reason):
        _read(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_npz(predictions=LABELS, labels=LABELS[:5]), "has arrays of 5 and 120 rows"),
        (_npz(probabilities=PROBABILITIES[:, :9]), r"probabilities of shape \(120, 9\)"),
        (_npz(logits=LOGITS[:, 0]), r"logits of shape \(120,\)"),
        (_npz(predictions=np.array([object()])), "cannot be read"),
        (b"PK", "cannot be read"),
        (_npz(weight=np.zeros((10, 784)), bias=np.zeros(10)), "weights belong into a .safetensors file"),
        (_npz(arr_0=np.zeros((4, 4))), "weights belong into a .safetensors file"),
    ],
)
def test_an_npz_that_cannot_be_used(data: bytes, reason: str) -> None:
    with pytest.raises(AnswersError, match=reason):
        _read(data, ".npz")


def test_a_bomb_is_not_unpacked() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("logits.npy", "w") as entry:
        for _ in range(600):
            entry.write(bytes(1_000_000))
    assert len(buffer.getvalue()) < 1_000_000
    with pytest.raises(AnswersError, match="holds 600 MB of arrays, and 500 are the most"):
        _read(buffer.getvalue(), ".npz")
