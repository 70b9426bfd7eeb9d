"""Stars and notes on digits. Databases from before there were migrations have the table, some without versions."""

from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Text, inspect

__all__ = ["down_revision", "revision", "upgrade"]

revision, down_revision = "1", None


def upgrade(operations: Operations) -> None:
    """Creates the table, or the column that an old one lacks."""
    version = Column("version", BigInteger, nullable=False, server_default="1")
    inspector = inspect(operations.get_bind())
    if not inspector.has_table("annotations"):
        operations.create_table(
            "annotations",
            Column("dataset", String(100), primary_key=True),
            Column("digit_id", Integer, primary_key=True, autoincrement=False),
            Column("starred", Boolean, nullable=False),
            Column("note", Text, nullable=False),
            version,
        )
    elif "version" not in {column["name"] for column in inspector.get_columns("annotations")}:
        operations.add_column("annotations", version)
