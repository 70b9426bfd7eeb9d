"""Classes: notebooks with a code to join by, and their members."""

from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, Integer, String

__all__ = ["down_revision", "revision", "upgrade"]

revision, down_revision = "3", "2"

_ID = BigInteger().with_variant(Integer, "sqlite")  # which numbers rows of this type alone


def upgrade(operations: Operations) -> None:
    """Creates both tables, and an index by which the digits of one writer are counted."""
    operations.create_table(
        "classes",
        Column("notebook", String(64), primary_key=True),
        Column("code", String(10), nullable=False),
        Column("is_open", Boolean, nullable=False),
        Column("revision", BigInteger, nullable=False),
    )
    operations.create_index("class_of_code", "classes", ["code"], unique=True)
    operations.create_table(
        "members",
        Column("id", _ID, primary_key=True),
        Column("notebook", String(64), nullable=False),
        Column("key", String(64), nullable=False),
        Column("name", String(60), nullable=False),
        Column("group", String(1), nullable=False),
    )
    operations.create_index("member_of_key", "members", ["key"], unique=True)
    operations.create_index("member_of_name", "members", ["notebook", "name"], unique=True)
    operations.create_index("handwriting_of_writer", "handwriting", ["notebook", "writer", "source", "label"])
