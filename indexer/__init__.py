"""A scheduled, resumable, replayable warehouse of address holdings on PostgreSQL.

The map, from the outside in; imports only go down::

    cli            commands: parse, call, print
    bootstrap      builds everything; the only reader of configuration and environment
    jobs           what a pass or a tick does: watchlist, due crawls, outcomes, review
    worker         one process that claims crawls: leases, heartbeat, clients
    crawl          the loop: ask, fetch, parse, commit, and the reaction to every failure
    commit         many finished pages in one transaction
    publish        fold, judge, merge: a finished crawl becomes history
    client         HTTP out, bytes in, every failure translated
    store, sql     the statements, one module per file; store.tables is the truth for columns
    verdict, folding   pure: may this list be believed; pages to lists
    sources        the five APIs, pure: questions to requests, bytes to pages
    config, watchlist, embedded, logs
    records, errors    the values and the reactions

History changes only in the transaction that commits a crawl's last page, and it is a fold over raw pages.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("indexer")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0.0.0"
