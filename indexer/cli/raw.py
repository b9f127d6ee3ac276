"""`indexer raw`: the exact bytes an API answered, as evidence."""

import hashlib
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.moments import brief
from indexer.cli.opening import open_config, run
from indexer.cli.options import ConfigOption, DebugOption
from indexer.cli.output import cell, new_table, note, show
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.config import Config
    from indexer.store.reading import BodyRow, PageRow


class Kind(StrEnum):
    """What an answer was kept as."""

    PAGE = "page"
    LOOKUP = "lookup"
    REJECTED = "rejected"


def raw(
    crawl: Annotated[
        int,
        typer.Argument(metavar="CRAWL", min=1, max=2**63 - 1, help="Number of a crawl, as in report.crawls."),
    ],
    page: Annotated[
        int | None,
        typer.Option(
            "--page",
            metavar="N",
            min=1,
            max=2**31 - 1,
            show_default=False,
            help="Write this page's exact bytes.",
        ),
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option("--kind", metavar="page|lookup|rejected", help="Which answers the number counts."),
    ] = Kind.PAGE,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """The answers kept of a crawl: a list of them, or the exact bytes of one."""
    settings = open_config(config, debug)
    if page is None:
        print_pages(crawl, *run(_list_pages(settings, crawl)))
        return
    body = run(_read_body(settings, crawl, kind, page))
    if body is None:
        raise UsageError(f"Crawl {crawl} has no {kind} {page}: `indexer raw {crawl}` lists what is kept.")
    write_bytes(unpack(body))


async def _list_pages(settings: "Config", crawl_id: int) -> "tuple[list[PageRow], list[str]]":
    from indexer import bootstrap
    from indexer.store import reading

    async with bootstrap.database(settings) as database, database.connection() as conn:
        return await reading.list_pages(conn, crawl_id), await reading.list_subjects(conn, crawl_id)


async def _read_body(settings: "Config", crawl_id: int, kind: Kind, page_no: int) -> "BodyRow | None":
    from indexer import bootstrap
    from indexer.store import reading

    async with bootstrap.database(settings) as database, database.connection() as conn:
        return await reading.read_body(conn, crawl_id, kind.value, page_no)


def print_pages(crawl_id: int, pages: "Sequence[PageRow]", subjects: Sequence[str]) -> None:
    """Which answers are kept, and whom they are about."""
    if not pages:
        raise UsageError(
            f"No answer of crawl {crawl_id} is kept: it does not exist, got none that is kept, or was pruned."
        )
    table = new_table(
        f"Answers kept of crawl {crawl_id}: {_name(subjects)}",
        "kind",
        "page",
        "fetched at",
        "status",
        "request",
        "rows",
        "bytes",
        "sha256",
        right=("page", "rows", "bytes"),
    )
    for page in pages:
        table.add_row(
            cell(page.kind),
            cell(page.page_no),
            cell(brief(page.fetched_at)),
            cell(page.status),
            cell(page.template),
            cell(page.items),
            cell(page.bytes),
            cell(page.sha256),
        )
    show(table)


def _name(subjects: Sequence[str]) -> str:
    if not subjects:
        return "nobody knows whom it was about"
    return subjects[0] + (f" and {len(subjects) - 1} more" if len(subjects) > 1 else "")


def unpack(body: "BodyRow") -> bytes:
    """The exact bytes. They are evidence, so their digest is checked before anybody sees them."""
    from indexer.store.bodies import apply_splice, steady_digest, stored_body

    stored = stored_body(body.codecs, body.lengths, body.bodies)
    assert stored is not None
    exact = apply_splice(stored.unpack(), body.splice)
    if body.sha256 is None:
        is_whole = steady_digest(exact, body.splice) == body.steady_sha256
    else:
        is_whole = hashlib.sha256(exact).digest() == body.sha256
    if not is_whole:
        raise ValueError("the stored bytes do not have their own digest")
    return exact


def write_bytes(exact: bytes) -> None:
    """The bytes as they are; on a terminal escaped, because a stranger wrote them."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(exact)
        sys.stdout.buffer.flush()
        return
    from indexer.printable import printable

    text = exact.decode("utf-8", "surrogateescape")
    sys.stdout.write("\n".join(printable(line) for line in text.split("\n")))
    note("\nShown with control characters escaped: redirect it into a file for the exact bytes.")
