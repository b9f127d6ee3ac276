"""COPY's text form: what the server reads is what we meant."""

from datetime import UTC, datetime

import psycopg

from indexer import copying


def test_what_is_copied_is_what_was_meant(database_url: str) -> None:
    """Every kind of value comes back from the server as it went in, whatever a text is made of."""
    nasty = [
        "",
        "\\",
        "\\N",
        "\\.",
        "a\tb",
        "a\nb",
        "a\rb",
        "\\x41",
        '{"a":"\\"\\\\n"}',
        "é€😀",
        "\x01\x7f",
        "\u2028",
    ]
    rows = [
        (
            number,
            text,
            number % 2 == 0,
            None,
            2**256 - 1,
            b"\x00\xff\\",
            datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
        )
        for number, text in enumerate(nasty)
    ]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TEMP TABLE kept"
            " (number int, told text, even boolean, nothing text, amount numeric, body bytea, at timestamptz)"
        )
        with connection.cursor().copy("COPY kept FROM STDIN") as copy:
            for block in copying.blocks(map(copying.line, rows)):
                copy.write(block)
        found = connection.execute("SELECT * FROM kept ORDER BY number").fetchall()

    assert found == rows
