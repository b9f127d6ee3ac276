-- What these columns say of themselves, said better. The columns are as they were.

COMMENT ON COLUMN ledger.snapshot.proves_absence IS 'False if the list moved while it was read, an item''s key could not be read, or the server is known to leave rows out.';
COMMENT ON COLUMN report.snapshots.proves_absence IS 'False if the list moved while it was read, the key of an item could not be read, or it came from a server that is known to leave rows out (solana_das): then it does not show alone that anything is absent.';
COMMENT ON COLUMN report.holdings.amount IS 'Integer base units; NULL: held, but the API does not say how much. solana_das lists a mint once for an owner: where it lies in several token accounts, this may be what one of them holds (details names it).';
