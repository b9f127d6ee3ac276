-- The instant before which no answer changes any more.

CREATE VIEW report.settled_until AS
SELECT statement_timestamp() - interval '60 seconds' AS settled_until;

COMMENT ON VIEW report.settled_until IS 'One row. A publish takes at most 30 s from its instant to its commit, so 60 s ago everything is in: answers as of earlier instants never change (labels, tags and names are today''s), unless an operator lets a corrected parser rewrite them: report.adoptions lists every such time.';
COMMENT ON COLUMN report.settled_until.settled_until IS 'Ask as of this instant or earlier to get an answer that can be repeated.';
