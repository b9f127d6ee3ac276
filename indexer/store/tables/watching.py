"""What is watched: sources, addresses, watches and the spans in which they were watched."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Interval,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from indexer.store.tables.metadata import INSTANT, metadata

source: Final = Table(
    "source",
    metadata,
    Column("source_id", Text, primary_key=True, comment="Name in configuration: okx_runes, hedera …"),
    Column("network", Text, nullable=False, comment="Network its addresses and assets live on."),
    Column("origin", Text, comment="scheme://host[:port] in use; no path, because a path can hold a key."),
    Column(
        "state",
        Text,
        nullable=False,
        server_default="active",
        comment="active; paused: it refuses us; retired: it has no base_url any more.",
    ),
    Column("paused_reason", Text, comment="Why it is paused, redacted."),
    Column("paused_until", INSTANT, comment="When a paused source is tried again."),
    CheckConstraint("source_id ~ '^[a-z0-9][a-z0-9_]{0,62}$'", name="source_id_is_a_name"),
    CheckConstraint("origin ~ '^https?://[^/@?#]+$'", name="origin_has_no_path"),
    CheckConstraint("state IN ('active', 'paused', 'retired')", name="state_is_known"),
    CheckConstraint("(state = 'paused') = (paused_reason IS NOT NULL)", name="paused_has_a_reason"),
    CheckConstraint("(state = 'paused') = (paused_until IS NOT NULL)", name="paused_has_an_end"),
    comment="One HTTP API that lists holdings.",
)

address: Final = Table(
    "address",
    metadata,
    Column("address_id", BigInteger, Identity(always=True), primary_key=True, comment="Surrogate key."),
    Column("network", Text, nullable=False, comment="Network the address belongs to."),
    Column("address", Text, nullable=False, comment="Canonical form; text, never a number."),
    UniqueConstraint("network", "address"),
    CheckConstraint("address ~ '^[!-~]{1,128}$'", name="address_is_printable"),
    comment="An address in its canonical form.",
)

watch: Final = Table(
    "watch",
    metadata,
    Column("watch_id", BigInteger, Identity(always=True), primary_key=True, comment="Surrogate key."),
    Column("source_id", Text, ForeignKey("ledger.source.source_id"), nullable=False, comment="Which API."),
    Column(
        "address_id",
        BigInteger,
        ForeignKey("ledger.address.address_id"),
        nullable=False,
        comment="Which address.",
    ),
    Column(
        "scope",
        Text,
        nullable=False,
        server_default="",
        comment="Rune id for okx_runes, whose API proves absence only per rune; else empty.",
    ),
    Column("label", Text, comment="Label from the watchlist. Today's, not versioned."),
    Column(
        "tags",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'::text[]"),
        comment="Tags from the watchlist. Today's, not versioned.",
    ),
    Column("every", Interval, comment="Crawl interval from the watchlist; NULL: the source's."),
    Column(
        "grown_window",
        Interval,
        comment="Longest first-to-last page span allowed here, after max_window proved too short twice.",
    ),
    UniqueConstraint("source_id", "address_id", "scope"),
    CheckConstraint("octet_length(scope) <= 256", name="scope_is_short"),
    CheckConstraint("every > interval '0'", name="every_is_positive"),
    CheckConstraint("grown_window > interval '0'", name="grown_window_is_positive"),
    comment="One (source, address, scope) that is or was followed.",
)

watch_period: Final = Table(
    "watch_period",
    metadata,
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), primary_key=True, comment="Which watch."
    ),
    Column("watched_from", INSTANT, primary_key=True, comment="First instant of the period."),
    Column("watched_to", INSTANT, comment="First instant after it; NULL: still watched."),
    Column("previous_to", INSTANT, comment="watched_to of the period before; NULL: there was none."),
    CheckConstraint("watched_to > watched_from", name="period_is_not_empty"),
    CheckConstraint("previous_to <= watched_from", name="period_follows_previous"),
    UniqueConstraint(
        "watch_id", "watched_to", name="watch_period_one_open", postgresql_nulls_not_distinct=True
    ),
    UniqueConstraint(
        "watch_id", "previous_to", name="watch_period_one_successor", postgresql_nulls_not_distinct=True
    ),
    ForeignKeyConstraint(
        ["watch_id", "previous_to"],
        ["ledger.watch_period.watch_id", "ledger.watch_period.watched_to"],
        name="watch_period_previous_fkey",
    ),
    comment="A span in which the watch was on the watchlist. Outside every span the answer is unknown.",
)
