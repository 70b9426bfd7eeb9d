"""The tables of handwriting and of classes, as statements name them; `migrations` creates them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

__all__ = ["CLASSES", "DIGITS", "LONGEST_WRITER", "MEMBERS", "NOTEBOOKS"]

LONGEST_WRITER = 60
"""Characters of a writer's name."""

_TABLES = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")  # which numbers rows of this type alone

NOTEBOOKS = Table(
    "notebooks",
    _TABLES,
    Column("notebook", String(64), primary_key=True),
    Column("digits", Integer),
    Column("revision", BigInteger),
)
DIGITS = Table(
    "handwriting",
    _TABLES,
    Column("id", _ID, primary_key=True),
    Column("notebook", String(64)),
    Column("picture", LargeBinary),
    Column("label", SmallInteger),
    Column("writer", String(LONGEST_WRITER)),
    Column("session", String(64)),
    Column("source", String(10)),
    Column("strokes", Text),
    Column("answer", SmallInteger),
    Column("checkpoint", String(64)),
    Column("ink", LargeBinary),
    Column("time", Double),
)
CLASSES = Table(
    "classes",
    _TABLES,
    Column("notebook", String(64), primary_key=True),
    Column("code", String(10)),
    Column("is_open", Boolean),
    Column("revision", BigInteger),
)
MEMBERS = Table(
    "members",
    _TABLES,
    Column("id", _ID, primary_key=True),
    Column("notebook", String(64)),
    Column("key", String(64)),
    Column("name", String(LONGEST_WRITER)),
    Column("group", String(1)),
)
