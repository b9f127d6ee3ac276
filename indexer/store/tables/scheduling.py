"""When to look at each watch again, what an operator must know, and which upkeep was done when."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from indexer.store.tables.metadata import INSTANT, metadata

schedule: Final = Table(
    "schedule",
    metadata,
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), primary_key=True, comment="Which watch."
    ),
    Column(
        "look_at",
        INSTANT,
        nullable=False,
        comment="Not before then can it be due; whether it is, its crawls say.",
    ),
    Index("schedule_look_at_idx", "look_at"),
    comment="When to look at each watch again. Only a hint: deleting rows loses nothing and doubles nothing.",
)

notice: Final = Table(
    "notice",
    metadata,
    Column("kind", Text, primary_key=True, comment="What it is about: configuration, restart, space …"),
    Column("place", Text, primary_key=True, comment="Machine and configuration file, or empty."),
    Column("noticed_at", INSTANT, nullable=False, comment="Since when."),
    Column("told_at", INSTANT, nullable=False, comment="When its process last repeated it."),
    Column("message", Text, nullable=False, comment="What happened and what to do, redacted."),
    CheckConstraint("length(message) <= 4000", name="message_is_short"),
    comment="What an operator must know. A row goes away when its cause does, or its process.",
)

upkeep: Final = Table(
    "upkeep",
    metadata,
    Column("task", Text, primary_key=True, comment="partitions, retention or invariants."),
    Column("begun_at", INSTANT, nullable=False, comment="When a process last took it up."),
    Column("ended_at", INSTANT, comment="When it was last finished; NULL: never."),
    Column("found", Integer, comment="What it counted: tables made, tables dropped, violations."),
    comment="Which upkeep was done when, so that many processes do it once.",
)
