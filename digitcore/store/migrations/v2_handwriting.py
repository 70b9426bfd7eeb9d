"""Digits that visitors have written, in notebooks."""

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, SmallInteger, String, Text

__all__ = ["down_revision", "revision", "upgrade"]

revision, down_revision = "2", "1"

_ID = BigInteger().with_variant(Integer, "sqlite")  # which numbers rows of this type alone


def upgrade(operations: Operations) -> None:
    """Creates both tables."""
    operations.create_table(
        "notebooks",
        Column("notebook", String(64), primary_key=True),
        Column("digits", Integer, nullable=False),
        Column("revision", BigInteger, nullable=False),
    )
    operations.create_table(
        "handwriting",
        Column("id", _ID, primary_key=True),
        Column("notebook", String(64), nullable=False),
        Column("picture", LargeBinary, nullable=False),
        Column("label", SmallInteger, nullable=False),
        Column("writer", String(60), nullable=False),
        Column("session", String(64), nullable=False),
        Column("source", String(10), nullable=False),
        Column("strokes", Text),
        Column("answer", SmallInteger),
        Column("checkpoint", String(64)),
        Column("ink", LargeBinary),
        Column("time", Double, nullable=False),
        sqlite_autoincrement=True,  # an id belongs to one digit for ever
    )
    operations.create_index("handwriting_of_notebook", "handwriting", ["notebook", "id"])
