"""What was replaced after a parser was fixed, and by what."""

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from indexer.store.tables.metadata import INSTANT, metadata

adoption: Final = Table(
    "adoption",
    metadata,
    Column("adoption_id", BigInteger, Identity(always=True), primary_key=True, comment="Surrogate key."),
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), nullable=False, comment="Which watch."
    ),
    Column("adopted_at", INSTANT, nullable=False, comment="Database time of the adoption."),
    Column(
        "since",
        INSTANT,
        comment="What was over by then stayed: its pages are gone. NULL: all was built again.",
    ),
    Column("program", Text, nullable=False, comment="Version of the program that read the pages again."),
    Column("reader", Text, nullable=False, comment="Fingerprint of the code that read them."),
    Column(
        "written_by",
        BigInteger,
        nullable=False,
        comment="Transaction that wrote it, which alone may replace what it keeps.",
    ),
    Index(None, "watch_id", "written_by"),
    comment="Each time the history of a watch, built again from its raw pages, replaced the live one."
    " Write-once.",
)

adopted_row: Final = Table(
    "adopted_row",
    metadata,
    Column(
        "adoption_id",
        BigInteger,
        ForeignKey("ledger.adoption.adoption_id"),
        primary_key=True,
        comment="Which adoption.",
    ),
    Column("kind", Text, primary_key=True, comment="Table of the row."),
    Column(
        "ref",
        Text,
        primary_key=True,
        comment="Its key: asset, position and number or beginning; or the snapshot's number.",
    ),
    Column("live", JSONB, comment="The row as it was; NULL: there was none."),
    Column("replayed", JSONB, comment="The row that took its place; NULL: none did."),
    CheckConstraint("kind IN ('holding_version', 'carried_span', 'snapshot')", name="kind_is_known"),
    CheckConstraint("live IS DISTINCT FROM replayed", name="something_changed"),
    comment="Every row of history that an adoption replaced, as it was and as it became. Write-once.",
)
