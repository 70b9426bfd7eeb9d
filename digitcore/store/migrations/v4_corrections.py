"""Corrected labels: each correction of a digit's label is a row, so that it can be undone."""

from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Double, Integer, SmallInteger, String

__all__ = ["down_revision", "revision", "upgrade"]

revision, down_revision = "4", "3"

_ID = BigInteger().with_variant(Integer, "sqlite")  # which numbers rows of this type alone


def upgrade(operations: Operations) -> None:
    """Creates the table."""
    operations.create_table(
        "corrections",
        Column("id", _ID, primary_key=True),
        Column("digest", String(64), nullable=False),
        Column("digit_id", BigInteger, nullable=False),
        Column("old", SmallInteger, nullable=False),
        Column("new", SmallInteger, nullable=False),
        Column("who", String(60), nullable=False),
        Column("time", Double, nullable=False),
        sqlite_autoincrement=True,  # an id belongs to one correction for ever
    )
    operations.create_index("corrections_of_set", "corrections", ["digest", "digit_id"])
