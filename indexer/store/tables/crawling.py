"""How it was learned: passes, crawls, their raw pages, and what look-ups taught."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from indexer.store.tables.metadata import INSTANT, metadata

crawl_pass: Final = Table(
    "crawl_pass",
    metadata,
    Column("pass_id", BigInteger, Identity(always=True), primary_key=True, comment="Surrogate key."),
    Column("selection", Text, nullable=False, comment="Which watches were selected, as canonical JSON."),
    Column("started_at", INSTANT, nullable=False, server_default=text("now()"), comment="When it began."),
    Column("touched_at", INSTANT, nullable=False, server_default=text("now()"), comment="Last sign of life."),
    Column("finished_at", INSTANT, comment="When every selected watch had an outcome, or it was given up."),
    CheckConstraint("finished_at >= started_at", name="finishes_after_start"),
    comment="One run of `indexer crawl` over its selected watches; an interrupted one can be joined.",
)

crawl: Final = Table(
    "crawl",
    metadata,
    Column("crawl_id", BigInteger, Identity(always=True), primary_key=True, comment="Surrogate key."),
    Column("source_id", Text, ForeignKey("ledger.source.source_id"), nullable=False, comment="Which API."),
    Column("scope", Text, nullable=False, server_default="", comment="Scope of its watches."),
    Column(
        "part_on",
        Date,
        nullable=False,
        server_default=text("date_trunc('month', now() AT TIME ZONE 'UTC')::date"),
        comment="Partition key of its raw pages: first day of the month it was queued; retention moves"
        " a crawl without any to a later one.",
    ),
    Column(
        "state",
        Text,
        nullable=False,
        server_default="pending",
        comment="pending, running; ended: complete, failed, abandoned.",
    ),
    Column(
        "created_at", INSTANT, nullable=False, server_default=text("now()"), comment="When it was queued."
    ),
    Column(
        "next_attempt_at",
        INSTANT,
        nullable=False,
        server_default=text("now()"),
        comment="Not claimed before.",
    ),
    Column("cursor", Text, comment="Where the next page starts; NULL: the first page."),
    Column("pages", Integer, nullable=False, server_default="0", comment="Pages committed."),
    Column("lookups", Integer, nullable=False, server_default="0", comment="Look-ups committed."),
    Column(
        "requests", Integer, nullable=False, server_default="0", comment="HTTP requests sent, retries too."
    ),
    Column("listed", BigInteger, nullable=False, server_default="0", comment="Rows listed, held or not."),
    Column("reported_total", BigInteger, comment="The API's own count of the list, where it gives one."),
    Column("height_from", BigInteger, comment="Chain height stated by the first page."),
    Column("height_to", BigInteger, comment="Chain height stated by the last page."),
    Column("moved", Boolean, nullable=False, server_default=false(), comment="The list moved while paging."),
    Column(
        "window_restarts", SmallInteger, nullable=False, server_default="0", comment="Ends by max_window."
    ),
    Column("drift_restarts", SmallInteger, nullable=False, server_default="0", comment="Ends by drift."),
    Column(
        "cursor_restarts", SmallInteger, nullable=False, server_default="0", comment="Ends by lost cursor."
    ),
    Column("restarted_as", BigInteger, comment="Crawl that started again from page 1 in its place."),
    Column("reader", Text, comment="Fingerprint of the code that read its pages; NULL: none, or several."),
    Column("facts", JSONB, comment="Facts its pages were read with; replay needs the same."),
    Column("first_page_at", INSTANT, comment="Database time when the first page was committed."),
    Column("last_page_at", INSTANT, comment="Database time when the last page was committed."),
    Column("finished_at", INSTANT, comment="When it ended."),
    Column("attempts", Integer, nullable=False, server_default="0", comment="How often it was claimed."),
    Column("lease_owner", Integer, comment="Number of the worker that holds it."),
    Column("lease_until", INSTANT, comment="When the lease runs out unless renewed."),
    Column("lease_epoch", BigInteger, nullable=False, server_default="0", comment="Fencing number."),
    Column("error_class", Text, comment="Class of the error that ended it."),
    Column("error", Text, comment="What happened, redacted."),
    CheckConstraint(
        "state IN ('pending', 'running', 'complete', 'failed', 'abandoned')", name="state_is_known"
    ),
    CheckConstraint("(state = 'running') = (lease_owner IS NOT NULL)", name="running_has_an_owner"),
    CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease_has_an_end"),
    CheckConstraint("(state IN ('pending', 'running')) = (finished_at IS NULL)", name="ended_has_a_time"),
    CheckConstraint("(first_page_at IS NULL) = (last_page_at IS NULL)", name="page_times_go_together"),
    CheckConstraint("last_page_at >= first_page_at", name="pages_run_forward"),
    CheckConstraint("pages >= 0 AND lookups >= 0 AND lease_epoch >= 0", name="counts_are_not_negative"),
    CheckConstraint(
        "(state IN ('failed', 'abandoned')) <= (error_class IS NOT NULL)", name="failure_has_a_class"
    ),
    CheckConstraint("length(error) <= 2000", name="error_is_short"),
    Index(
        "crawl_open_idx",
        "source_id",
        "next_attempt_at",
        postgresql_where=text("state IN ('pending', 'running')"),
    ),
    comment="One resumable walk through the pages of one request. Also the queue, the cursor and the lease.",
)

crawl_watch: Final = Table(
    "crawl_watch",
    metadata,
    Column(
        "crawl_id", BigInteger, ForeignKey("ledger.crawl.crawl_id"), primary_key=True, comment="Which crawl."
    ),
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), primary_key=True, comment="Which watch."
    ),
    Column("place", SmallInteger, nullable=False, comment="Order of the address in the request, from 0."),
    Column("due_at", INSTANT, comment="The schedule's instant it answers; NULL: asked for by hand."),
    Column("open", Boolean, comment="True while the crawl runs for this watch, NULL afterwards."),
    Column("verdict", Text, comment="How it ended for this watch."),
    Column("error", Text, comment="Why, where the verdict is failed or abandoned; redacted."),
    CheckConstraint("open", name="open_is_true_or_null"),
    CheckConstraint("(open IS NULL) = (verdict IS NOT NULL)", name="ended_has_a_verdict"),
    CheckConstraint(
        "verdict IN ('published', 'unchanged', 'quarantined', 'failed', 'abandoned', 'skipped')",
        name="verdict_is_known",
    ),
    Index(
        "crawl_watch_watch_id_due_at_key",
        "watch_id",
        "due_at",
        unique=True,
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("crawl_watch_one_open", "watch_id", unique=True, postgresql_where=text("open")),
    Index("crawl_watch_watch_id_crawl_id_idx", "watch_id", "crawl_id"),
    comment="A watch covered by a crawl, with the verdict that belongs to it alone.",
)

pass_watch: Final = Table(
    "pass_watch",
    metadata,
    Column(
        "pass_id",
        BigInteger,
        ForeignKey("ledger.crawl_pass.pass_id"),
        primary_key=True,
        comment="Which pass.",
    ),
    Column(
        "watch_id", BigInteger, ForeignKey("ledger.watch.watch_id"), primary_key=True, comment="Which watch."
    ),
    Column("crawl_id", BigInteger, nullable=False, comment="Crawl whose verdict is this watch's outcome."),
    Index("pass_watch_crawl_id_idx", "crawl_id"),
    comment="A watch selected by a pass, and the crawl it waits for; a restart moves it to the new crawl.",
)

raw_body: Final = Table(
    "raw_body",
    metadata,
    Column("part_on", Date, primary_key=True, comment="Partition key, from the crawl."),
    Column("sha256", LargeBinary, primary_key=True, comment="SHA-256 of the exact bytes."),
    Column("codec", Text, nullable=False, comment="How `body` is stored: none, zstd, delta or patch."),
    Column("base_sha256", LargeBinary, comment="Body that a delta or a patch was made against."),
    Column(
        "depth", SmallInteger, nullable=False, server_default="0", comment="Bodies it stands on; 0: none."
    ),
    Column("length", Integer, nullable=False, comment="Length of the exact bytes."),
    Column("body", LargeBinary, nullable=False, comment="The exact bytes, compressed by the client."),
    CheckConstraint("octet_length(sha256) = 32", name="sha256_has_32_bytes"),
    CheckConstraint("codec IN ('none', 'zstd', 'delta', 'patch')", name="codec_is_known"),
    CheckConstraint("(codec IN ('delta', 'patch')) = (base_sha256 IS NOT NULL)", name="delta_has_a_base"),
    CheckConstraint(
        "(codec IN ('delta', 'patch')) = (depth > 0) AND depth BETWEEN 0 AND 12", name="delta_has_a_depth"
    ),
    CheckConstraint("length >= 0", name="length_is_not_negative"),
    postgresql_partition_by="RANGE (part_on)",
    comment="Exact answer bytes after content decoding, stored once per content and month.",
)

raw_page: Final = Table(
    "raw_page",
    metadata,
    Column("part_on", Date, primary_key=True, comment="Partition key, from the crawl."),
    Column(
        "crawl_id", BigInteger, primary_key=True, comment="Which crawl; no foreign key, so it can be pruned."
    ),
    Column(
        "kind", Text, primary_key=True, comment="page; lookup; rejected: an answer that was not believed."
    ),
    Column("page_no", Integer, primary_key=True, comment="1, 2, 3 … within the kind."),
    Column("lease_epoch", BigInteger, nullable=False, comment="Fencing number it was committed under."),
    Column(
        "fetched_at",
        INSTANT,
        nullable=False,
        server_default=text("clock_timestamp()"),
        comment="Database time of the commit statement.",
    ),
    Column("http_status", SmallInteger, nullable=False, comment="HTTP status of the answer."),
    Column(
        "request", Text, nullable=False, comment="Method and template; never the URL, a key or an address."
    ),
    Column("cursor_in", Text, comment="Cursor it was asked with; NULL: first page."),
    Column("cursor_out", Text, comment="Cursor of the next page; NULL: last page."),
    Column("items", Integer, nullable=False, comment="Rows listed on it."),
    Column("sha256", LargeBinary, nullable=False, comment="Which body."),
    Column("splice", LargeBinary, comment="Place, length and bytes that differ from the body; NULL: none."),
    Column(
        "exact_sha256", LargeBinary, comment="SHA-256 of the exact bytes where a splice makes them others."
    ),
    Column("steady_sha256", LargeBinary, comment="SHA-256 without what changes by itself; NULL: as sha256."),
    CheckConstraint("kind IN ('page', 'lookup', 'rejected')", name="kind_is_known"),
    CheckConstraint("page_no >= 1", name="page_no_starts_at_1"),
    CheckConstraint("items >= 0", name="items_is_not_negative"),
    CheckConstraint("(splice IS NULL) = (exact_sha256 IS NULL)", name="splice_has_a_hash"),
    CheckConstraint("kind <> 'page' OR page_no = 1 OR cursor_in IS NOT NULL", name="later_has_a_cursor"),
    CheckConstraint("http_status BETWEEN 100 AND 599", name="http_status_is_known"),
    CheckConstraint("cursor_out IS DISTINCT FROM cursor_in OR cursor_out IS NULL", name="cursor_moves_on"),
    ForeignKeyConstraint(["part_on", "sha256"], ["ledger.raw_body.part_on", "ledger.raw_body.sha256"]),
    Index(
        "raw_page_cursor_once",
        "part_on",
        "crawl_id",
        text("md5(cursor_in)"),
        unique=True,
        # The first page is asked without a cursor, and its number is unique already.
        postgresql_where=text("kind = 'page' AND cursor_in IS NOT NULL"),
    ),
    postgresql_partition_by="RANGE (part_on)",
    comment="One answer: the log that history is a fold over.",
)

fact: Final = Table(
    "fact",
    metadata,
    Column(
        "source_id", Text, ForeignKey("ledger.source.source_id"), primary_key=True, comment="Who taught it."
    ),
    Column("name", Text, primary_key=True, comment="What it is about: divisibility:840000:3 …"),
    Column("value", Text, nullable=False, comment="What was learned."),
    Column("learned_at", INSTANT, nullable=False, server_default=text("now()"), comment="When."),
    Column("crawl_id", BigInteger, nullable=False, comment="Crawl whose look-up taught it."),
    comment="Lasting facts from look-ups, so that later crawls need not ask again.",
)

rate_limit: Final = Table(
    "rate_limit",
    metadata,
    Column(
        "source_id",
        Text,
        ForeignKey("ledger.source.source_id"),
        primary_key=True,
        comment="One key per source.",
    ),
    Column("next_at", INSTANT, nullable=False, comment="Earliest instant of the next request of any worker."),
    Column(
        "lag",
        Interval,
        nullable=False,
        server_default=text("'0'"),
        comment="How long after its turn a request may reach the API, by the slowest recent answer.",
    ),
    prefixes=["UNLOGGED"],
    comment="The rate limit all workers share. Losing it in a crash costs one moment of pause.",
)
