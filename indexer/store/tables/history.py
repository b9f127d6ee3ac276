"""What is known: assets, snapshots, versions of holdings, carried spans and prices."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

from indexer.store.tables.metadata import EXACT_AMOUNT, INSTANT, metadata

_NUMBERS: Final = ARRAY(BigInteger)
_LAGS: Final = ARRAY(Integer)
_INSTANTS: Final = ARRAY(TIMESTAMP(timezone=True))

asset: Final = Table(
    "asset",
    metadata,
    Column("asset_id", BigInteger, Identity(always=True), primary_key=True, comment="Surrogate key."),
    Column("network", Text, nullable=False, comment="Network it lives on."),
    Column(
        "asset_ref", Text, nullable=False, comment="Natural key on its network: rune id, mint, token id …"
    ),
    UniqueConstraint("network", "asset_ref"),
    CheckConstraint("octet_length(asset_ref) BETWEEN 1 AND 256", name="asset_ref_is_short"),
    comment="What is held.",
)

asset_detail: Final = Table(
    "asset_detail",
    metadata,
    # No foreign key: asked row by row it costs nearly as much as the row. A trigger asks once per statement.
    Column("asset_id", BigInteger, primary_key=True, autoincrement=False, comment="Which asset."),
    Column("kind", Text, nullable=False, comment="native, fungible, nft or other."),
    Column("symbol", Text, comment="Untrusted text for display, never a key."),
    Column("name", Text, comment="Untrusted text for display, never a key."),
    Column("decimals", SmallInteger, comment="Last reported; NULL: unknown, which is not 0."),
    Column("metadata", JSONB, nullable=False, comment="The API's description without owner-specific fields."),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the canonical description."),
    Column(
        "updated_at", INSTANT, nullable=False, server_default=text("now()"), comment="When it last changed."
    ),
    CheckConstraint("kind IN ('native', 'fungible', 'nft', 'other')", name="kind_is_known"),
    CheckConstraint("decimals BETWEEN 0 AND 255", name="decimals_are_sane"),
    comment="Today's description of an asset, written only when it changes.",
)

snapshot: Final = Table(
    "snapshot",
    metadata,
    Column("snapshot_id", BigInteger, Identity(always=True), primary_key=True, comment="Surrogate key."),
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), nullable=False, comment="Which watch."
    ),
    Column("crawl_id", BigInteger, nullable=False, comment="Crawl it comes from; may have been pruned."),
    Column("state", Text, nullable=False, comment="published: part of history; quarantined: not believed."),
    Column("judged_at", INSTANT, nullable=False, comment="Database time of the verdict."),
    Column("snapshot_at", INSTANT, comment="The instant it speaks for; only a published one has it."),
    Column("fresh_until", INSTANT, comment="From then on an answer from it is stale."),
    Column("first_page_at", INSTANT, nullable=False, comment="When its first page was fetched."),
    Column("last_page_at", INSTANT, nullable=False, comment="When its last page was fetched."),
    Column("height_from", BigInteger, comment="Chain height of the first page, where stated."),
    Column("height_to", BigInteger, comment="Chain height of the last page, where stated."),
    Column("pages", Integer, nullable=False, comment="Pages it was folded from."),
    Column("holdings", Integer, nullable=False, comment="Holdings listed and readable."),
    Column("unreadable", Integer, nullable=False, comment="Items listed but unreadable."),
    Column("missing", Integer, nullable=False, comment="Known holdings it did not list."),
    Column(
        "proves_absence",
        Boolean,
        nullable=False,
        comment="False if the list moved while it was read, an item's key could not be read,"
        " or the server is known to leave rows out.",
    ),
    Column(
        "consistency", Text, nullable=False, comment="point: one moment; window: a span; drifted: it moved."
    ),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 over the folded list, for replay."),
    Column("reason", Text, comment="Why it is quarantined."),
    Column("resolution", Text, comment="How a quarantine ended."),
    Column("resolved_at", INSTANT, comment="When a quarantine ended."),
    CheckConstraint("state IN ('published', 'quarantined')", name="state_is_known"),
    CheckConstraint("(state = 'published') = (snapshot_at IS NOT NULL)", name="published_has_an_instant"),
    CheckConstraint("(snapshot_at IS NULL) = (fresh_until IS NULL)", name="fresh_until_goes_with_instant"),
    CheckConstraint("fresh_until > snapshot_at", name="fresh_for_a_while"),
    CheckConstraint("snapshot_at >= last_page_at", name="instant_is_not_backdated"),
    CheckConstraint("last_page_at >= first_page_at", name="pages_run_forward"),
    CheckConstraint("(state = 'quarantined') = (reason IS NOT NULL)", name="quarantined_has_a_reason"),
    CheckConstraint("(resolution IS NULL) = (resolved_at IS NULL)", name="resolution_has_a_time"),
    CheckConstraint("resolution IS NULL OR state = 'quarantined'", name="only_quarantine_is_resolved"),
    CheckConstraint(
        "resolution IN ('confirmed', 'superseded', 'replaced', 'repeated', 'released', 'rejected',"
        " 'unwatched')",
        name="resolution_is_known",
    ),
    CheckConstraint("consistency IN ('point', 'window', 'drifted')", name="consistency_is_known"),
    CheckConstraint("octet_length(digest) = 32", name="digest_has_32_bytes"),
    CheckConstraint(
        "holdings >= 0 AND unreadable >= 0 AND missing >= 0 AND pages >= 0", name="counts_are_counts"
    ),
    Index(
        "snapshot_published",
        "watch_id",
        text("snapshot_at DESC"),
        unique=True,
        postgresql_where=text("state = 'published'"),
    ),
    Index(
        "snapshot_one_witness",
        "watch_id",
        unique=True,
        postgresql_where=text("state = 'quarantined' AND resolution IS NULL"),
    ),
    Index("snapshot_quarantined", "watch_id", "judged_at", postgresql_where=text("state = 'quarantined'")),
    Index("snapshot_crawl_id_idx", "crawl_id"),
    comment="What a publish proved about one watch at one instant, or a list that was not believed.",
)

snapshot_run: Final = Table(
    "snapshot_run",
    metadata,
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), primary_key=True, comment="Which watch."
    ),
    Column("first_at", INSTANT, primary_key=True, comment="Instant of the first snapshot of the run."),
    Column("last_at", INSTANT, nullable=False, comment="Instant of the last one."),
    Column("head_id", BigInteger, nullable=False, comment="Snapshot before the run, which all of it repeat."),
    Column("fresh_for", Interval, nullable=False, comment="How long each is fresh."),
    Column("splice_head", LargeBinary, comment="Place and length of the number in which their pages differ."),
    Column("instants", _INSTANTS, nullable=False, comment="The instants they speak for."),
    Column("snapshots", _NUMBERS, nullable=False, comment="Their snapshot numbers."),
    Column("crawls", _NUMBERS, nullable=False, comment="Their crawls."),
    Column("first_lags", _LAGS, nullable=False, comment="Microseconds from each first page to its instant."),
    Column("last_lags", _LAGS, nullable=False, comment="Microseconds from each last page to its instant."),
    Column("heights", _NUMBERS, comment="Chain height of each; NULL: never stated."),
    Column(
        "queued_lags", _LAGS, comment="Milliseconds from queueing each crawl to its instant; NULL: not kept."
    ),
    Column("attempts", _LAGS, comment="How often each crawl was claimed; NULL: once each."),
    Column("retries", _LAGS, comment="Requests of each crawl that gave no page; NULL: none."),
    CheckConstraint("first_at = instants[1]", name="begins_with_its_first"),
    CheckConstraint("last_at = instants[cardinality(instants)]", name="ends_with_its_last"),
    CheckConstraint("cardinality(instants) BETWEEN 1 AND 30", name="fits_a_page"),
    CheckConstraint(
        "cardinality(instants) = ALL (ARRAY[cardinality(snapshots), cardinality(crawls),"
        " cardinality(first_lags), cardinality(last_lags),"
        " coalesce(cardinality(heights), cardinality(instants))])",
        name="lists_are_equally_long",
    ),
    CheckConstraint(
        "cardinality(instants) = ALL (ARRAY[coalesce(cardinality(queued_lags), cardinality(instants)),"
        " coalesce(cardinality(attempts), cardinality(instants)),"
        " coalesce(cardinality(retries), cardinality(instants))])",
        name="more_lists_are_equally_long",
    ),
    CheckConstraint("fresh_for > interval '0'", name="fresh_for_a_while"),
    CheckConstraint("octet_length(splice_head) = 8", name="splice_head_has_8_bytes"),
    comment="Published snapshots that repeat the one before them to the byte, folded into one row.",
)

missing_holding: Final = Table(
    "missing_holding",
    metadata,
    Column(
        "snapshot_id",
        BigInteger,
        ForeignKey("ledger.snapshot.snapshot_id"),
        primary_key=True,
        comment="The quarantined snapshot.",
    ),
    Column("asset_id", BigInteger, primary_key=True, comment="Asset it did not list."),
    Column("sub_key", Text, primary_key=True, comment="Position it did not list."),
    comment="What an unresolved quarantined snapshot misses: the first witness's testimony.",
)

holding_version: Final = Table(
    "holding_version",
    metadata,
    # No foreign keys to watch and asset: checked per row they cost as much as the row. A trigger checks each
    # statement's rows at once, and neither watches nor assets can be deleted.
    Column("watch_id", BigInteger, primary_key=True, autoincrement=False, comment="Who holds."),
    Column("asset_id", BigInteger, primary_key=True, autoincrement=False, comment="What is held."),
    Column(
        "sub_key", Text, primary_key=True, comment="Position within the asset: UTXO, serial number; or empty."
    ),
    Column("version_no", Integer, primary_key=True, autoincrement=False, comment="1, 2, 3 … of the holding."),
    Column("valid_from", INSTANT, nullable=False, comment="First instant of the version."),
    Column("valid_to", INSTANT, comment="First instant after it; NULL: current."),
    Column("previous_no", Integer, comment="version_no of the version before; NULL: there was none."),
    Column("previous_to", INSTANT, comment="valid_to of the version before; NULL: there was none."),
    Column("amount", EXACT_AMOUNT, comment="Base units; NULL: held, but the API does not say how much."),
    Column("decimals", SmallInteger, comment="As reported then; NULL: not reported."),
    Column("locked", EXACT_AMOUNT, comment="Part of the amount that cannot move, where stated."),
    Column("frozen", Boolean, comment="Whether the position is frozen, where stated."),
    Column("delegate", Text, comment="Who else may move it, where stated."),
    Column(
        "details", JSONB, nullable=False, server_default=text("'{}'::jsonb"), comment="Source-specific facts."
    ),
    Column("observed_at", INSTANT, nullable=False, comment="When the page that opened it was fetched."),
    Column("open_reason", Text, nullable=False, comment="baseline, appeared, changed or first_read."),
    Column("close_reason", Text, comment="changed, absent or unwatched."),
    Column("opened_by", BigInteger, nullable=False, comment="Crawl that opened it."),
    Column("opened_page", Integer, nullable=False, comment="Page of that crawl."),
    Column("closed_by", BigInteger, comment="Crawl that closed it; NULL for unwatched."),
    CheckConstraint("octet_length(sub_key) <= 256", name="sub_key_is_short"),
    CheckConstraint("valid_to > valid_from", name="span_is_not_empty"),
    CheckConstraint("previous_to <= valid_from", name="span_follows_previous"),
    CheckConstraint("version_no = coalesce(previous_no, 0) + 1", name="numbers_have_no_gap"),
    CheckConstraint("(previous_no IS NULL) = (previous_to IS NULL)", name="previous_is_closed"),
    CheckConstraint("(valid_to IS NULL) = (close_reason IS NULL)", name="closed_has_a_reason"),
    CheckConstraint(
        "(closed_by IS NULL) = (close_reason IS NULL OR close_reason = 'unwatched')", name="closed_by_a_crawl"
    ),
    CheckConstraint("decimals BETWEEN 0 AND 255", name="decimals_are_sane"),
    CheckConstraint(
        "open_reason IN ('baseline', 'appeared', 'changed', 'first_read')", name="open_reason_is_known"
    ),
    CheckConstraint("close_reason IN ('changed', 'absent', 'unwatched')", name="close_reason_is_known"),
    # What the chain refers to, and the way to what a watch holds now or held then.
    UniqueConstraint(
        "watch_id",
        "valid_to",
        "asset_id",
        "sub_key",
        "version_no",
        name="holding_version_watch_key",
    ),
    # The chain: a version's predecessor is closed, and ends no later than it begins. So no two overlap.
    ForeignKeyConstraint(
        ["watch_id", "previous_to", "asset_id", "sub_key", "previous_no"],
        [
            "ledger.holding_version.watch_id",
            "ledger.holding_version.valid_to",
            "ledger.holding_version.asset_id",
            "ledger.holding_version.sub_key",
            "ledger.holding_version.version_no",
        ],
        name="holding_version_previous_fkey",
    ),
    Index("holding_version_asset_idx", "asset_id", "valid_to", "valid_from"),
    comment="A span [valid_from, valid_to) in which a holding did not change. Write-once.",
)

carried_span: Final = Table(
    "carried_span",
    metadata,
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), primary_key=True, comment="Which watch."
    ),
    Column(
        "asset_id", BigInteger, ForeignKey("ledger.asset.asset_id"), primary_key=True, comment="Which asset."
    ),
    Column("sub_key", Text, primary_key=True, comment="Which position."),
    Column("valid_from", INSTANT, primary_key=True, comment="Snapshot from which it could not be read."),
    Column("valid_to", INSTANT, comment="Snapshot that settled it; NULL: not yet."),
    Column("previous_to", INSTANT, comment="valid_to of the span before; NULL: there was none."),
    Column(
        "reason", Text, nullable=False, comment="unreadable; missing: absent once, not yet proved; unkeyed."
    ),
    Column("detail", Text, comment="What was wrong with the item."),
    Column("opened_by", BigInteger, nullable=False, comment="Crawl that opened it."),
    Column("closed_by", BigInteger, comment="Crawl that closed it; NULL for unwatched."),
    CheckConstraint("valid_to > valid_from", name="span_is_not_empty"),
    CheckConstraint("previous_to <= valid_from", name="span_follows_previous"),
    CheckConstraint("reason IN ('unreadable', 'missing', 'unkeyed')", name="reason_is_known"),
    UniqueConstraint(
        "watch_id",
        "asset_id",
        "sub_key",
        "valid_to",
        name="carried_span_one_open",
        postgresql_nulls_not_distinct=True,
    ),
    UniqueConstraint(
        "watch_id",
        "asset_id",
        "sub_key",
        "previous_to",
        name="carried_span_one_successor",
        postgresql_nulls_not_distinct=True,
    ),
    ForeignKeyConstraint(
        ["watch_id", "asset_id", "sub_key", "previous_to"],
        [
            "ledger.carried_span.watch_id",
            "ledger.carried_span.asset_id",
            "ledger.carried_span.sub_key",
            "ledger.carried_span.valid_to",
        ],
        name="carried_span_previous_fkey",
    ),
    comment="A span in which a holding was listed but unreadable, or missing without proof. Write-once.",
)

price: Final = Table(
    "price",
    metadata,
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), primary_key=True, comment="Where seen."
    ),
    Column("asset_id", BigInteger, ForeignKey("ledger.asset.asset_id"), primary_key=True, comment="Of what."),
    Column("sub_key", Text, primary_key=True, comment="Position an ask belongs to."),
    Column("kind", Text, primary_key=True, comment="ask: what its owner wants; market: what others paid."),
    Column("currency", Text, primary_key=True, comment="Lower-case currency: sat, usd …"),
    Column("observed_at", INSTANT, primary_key=True, comment="When the page that stated it was fetched."),
    Column("price", Numeric, nullable=False, comment="For one unit of quantity, exactly as stated."),
    Column("crawl_id", BigInteger, nullable=False, comment="Crawl it comes from."),
    CheckConstraint("kind IN ('ask', 'market')", name="kind_is_known"),
    CheckConstraint("price >= 0 AND price < 'Infinity'::numeric", name="price_is_finite"),
    comment="Prices the APIs mentioned, written only when changed. They never value a portfolio.",
)
