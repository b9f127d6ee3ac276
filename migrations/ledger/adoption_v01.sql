-- Adoptions: after a parser was fixed, history built again from the raw pages takes the place of the live one. The one
-- exception to write-once, and never a silent one: `ledger.refuse_rewriting` lets a row go only when it is kept here.

CREATE TABLE ledger.adoption (
    adoption_id BIGINT GENERATED ALWAYS AS IDENTITY,
    watch_id BIGINT NOT NULL,
    adopted_at ledger.instant NOT NULL,
    since ledger.instant,
    program TEXT NOT NULL,
    reader TEXT NOT NULL,
    written_by BIGINT NOT NULL,
    CONSTRAINT adoption_pkey PRIMARY KEY (adoption_id),
    CONSTRAINT adoption_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id)
);

CREATE INDEX adoption_watch_id_written_by_idx ON ledger.adoption (watch_id, written_by);

COMMENT ON TABLE ledger.adoption IS 'Each time the history of a watch, built again from its raw pages, replaced the live one. Write-once.';
COMMENT ON COLUMN ledger.adoption.adoption_id IS 'Surrogate key.';
COMMENT ON COLUMN ledger.adoption.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.adoption.adopted_at IS 'Database time of the adoption.';
COMMENT ON COLUMN ledger.adoption.since IS 'What was over by then stayed: its pages are gone. NULL: all was built again.';
COMMENT ON COLUMN ledger.adoption.program IS 'Version of the program that read the pages again.';
COMMENT ON COLUMN ledger.adoption.reader IS 'Fingerprint of the code that read them.';
COMMENT ON COLUMN ledger.adoption.written_by IS 'Transaction that wrote it, which alone may replace what it keeps.';

CREATE TABLE ledger.adopted_row (
    adoption_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    live JSONB,
    replayed JSONB,
    CONSTRAINT adopted_row_pkey PRIMARY KEY (adoption_id, kind, ref),
    CONSTRAINT adopted_row_kind_is_known CHECK (kind IN ('holding_version', 'carried_span', 'snapshot')),
    CONSTRAINT adopted_row_something_changed CHECK (live IS DISTINCT FROM replayed),
    CONSTRAINT adopted_row_adoption_id_fkey FOREIGN KEY(adoption_id) REFERENCES ledger.adoption (adoption_id)
);

COMMENT ON TABLE ledger.adopted_row IS 'Every row of history that an adoption replaced, as it was and as it became. Write-once.';
COMMENT ON COLUMN ledger.adopted_row.adoption_id IS 'Which adoption.';
COMMENT ON COLUMN ledger.adopted_row.kind IS 'Table of the row.';
COMMENT ON COLUMN ledger.adopted_row.ref IS 'Its key: asset, position and number or beginning; or the snapshot''s number.';
COMMENT ON COLUMN ledger.adopted_row.live IS 'The row as it was; NULL: there was none.';
COMMENT ON COLUMN ledger.adopted_row.replayed IS 'The row that took its place; NULL: none did.';
