"""A process that crawls pass after pass until it is killed: what a chaos run kills.

It survives what the program promises to survive (a database that goes away) and nothing else: any other error
ends it with a traceback, which the chaos run reports.
"""

import asyncio
import sys
from pathlib import Path

from indexer import bootstrap, jobs
from indexer.errors import DatabaseError


async def crawl_for_ever(path: Path) -> None:
    """Passes over everything, one after another."""
    config = bootstrap.read_config(path)
    bootstrap.configure_logs(config, debug=False)
    while True:
        try:
            async with bootstrap.engine(config) as engine:
                while True:
                    await jobs.run_pass(engine, jobs.Selection(None, None), lambda _progress: None)
        except DatabaseError:
            continue


if __name__ == "__main__":
    asyncio.run(crawl_for_ever(Path(sys.argv[1])))
