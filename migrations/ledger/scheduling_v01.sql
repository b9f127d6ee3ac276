-- When to look at each watch, what an operator must know, and which upkeep was done when.
CREATE TABLE ledger.schedule (
    watch_id BIGINT NOT NULL,
    look_at ledger.instant NOT NULL,
    CONSTRAINT schedule_pkey PRIMARY KEY (watch_id),
    CONSTRAINT schedule_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id)
) WITH (fillfactor = 70);

CREATE INDEX schedule_look_at_idx ON ledger.schedule (look_at);

COMMENT ON TABLE ledger.schedule IS 'When to look at each watch again. Only a hint: deleting rows loses nothing and doubles nothing.';
COMMENT ON COLUMN ledger.schedule.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.schedule.look_at IS 'Not before then can it be due; whether it is, its crawls say.';

CREATE TABLE ledger.notice (
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    noticed_at ledger.instant NOT NULL,
    told_at ledger.instant NOT NULL,
    message TEXT NOT NULL,
    CONSTRAINT notice_pkey PRIMARY KEY (kind, place),
    CONSTRAINT notice_message_is_short CHECK (length(message) <= 4000)
);

COMMENT ON TABLE ledger.notice IS 'What an operator must know. A row goes away when its cause does, or its process.';
COMMENT ON COLUMN ledger.notice.kind IS 'What it is about: configuration, restart, space …';
COMMENT ON COLUMN ledger.notice.place IS 'Machine and configuration file, or empty.';
COMMENT ON COLUMN ledger.notice.noticed_at IS 'Since when.';
COMMENT ON COLUMN ledger.notice.told_at IS 'When its process last repeated it.';
COMMENT ON COLUMN ledger.notice.message IS 'What happened and what to do, redacted.';

CREATE TABLE ledger.upkeep (
    task TEXT NOT NULL,
    begun_at ledger.instant NOT NULL,
    ended_at ledger.instant,
    found INTEGER,
    CONSTRAINT upkeep_pkey PRIMARY KEY (task)
);

COMMENT ON TABLE ledger.upkeep IS 'Which upkeep was done when, so that many processes do it once.';
COMMENT ON COLUMN ledger.upkeep.task IS 'partitions, retention or invariants.';
COMMENT ON COLUMN ledger.upkeep.begun_at IS 'When a process last took it up.';
COMMENT ON COLUMN ledger.upkeep.ended_at IS 'When it was last finished; NULL: never.';
COMMENT ON COLUMN ledger.upkeep.found IS 'What it counted: tables made, tables dropped, violations.';
