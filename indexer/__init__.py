"""A scheduled, resumable, replayable warehouse of address holdings on PostgreSQL.

The map, from the outside in; imports only go down::

    cli                commands: parse, call, print
    daemon, ticker     `indexer run` and `work`: the UTC tick, signals, the status door
    bootstrap          builds everything; the only reader of configuration and environment
    shift, due, reload, upkeep     what the daemon does: work, make due crawls, follow files, keep house
    jobs, running_pass what a pass of `indexer crawl` does; review, verify, replay, prune, export beside it
    adoption           a history that was built again takes the place of the live one
    unwatching         what is taken off the watchlist ends, in portions
    worker             one process that claims crawls: leases, heartbeat, clients
    crawl, walk        the loop: ask, fetch, read, commit; and the reaction to every failure
    page_reader        what a page says: recognised, compared, or parsed whole
    commit             many finished pages in one transaction
    publish, lists     fold, judge, merge: a finished crawl becomes history; packed: a long list until then
    client, wire, connection, answer     HTTP out, bytes in, every failure translated
    store, sql         the statements, one module per file; store.tables is the truth for columns
    verdict, folding, recognition, comparison, schedule    pure: may this list be believed; pages to lists;
                       what is new in them; what is due
    sources            the five APIs, pure: questions to requests, bytes to pages
    parquet            rows as files for tools that read no PostgreSQL
    config, watchlist, embedded, logs
    records, errors    the values and the reactions

History changes only in the transaction that commits a crawl's last page, and it is a fold over raw pages.
"""

#: As in pyproject.toml (a test compares): to look it up there would take longer than `indexer --version` may.
__version__ = "0.1.0"
