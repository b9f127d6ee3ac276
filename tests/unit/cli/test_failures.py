"""What a person and a script learn from a failure."""

import psycopg
import pytest

from indexer import errors
from indexer.cli.failures import find_cause, known_secrets, report_failure


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.DatabaseUnavailable("x"), 4),
        (errors.SchemaNotCurrent("x"), 4),
        (psycopg.OperationalError("x"), 4),
        (psycopg.errors.ReadOnlySqlTransaction("x"), 4),
        (errors.ClockWentBack("x"), 1),
        (RuntimeError("x"), 1),
        (BrokenPipeError(), 141),
    ],
)
def test_the_class_decides_the_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts branch on the code alone."""
    monkeypatch.setattr("indexer.cli.failures.silence_stdout", lambda: None)

    assert report_failure(error, debug=False) == code


def test_ours_is_said_in_full_every_line_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """All mistakes of a watchlist are shown, and none can hide the next."""
    report_failure(errors.UsageError("a.yaml:1: bad \x1b[1A\na.yaml:2: worse"), debug=False)

    assert capsys.readouterr() == ("", "Error: a.yaml:1: bad \\x1b[1A\na.yaml:2: worse\n")


def test_the_text_of_an_unexpected_error_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """It could carry a URL or a key."""
    report_failure(KeyError("https://host/v3/topsecretkey"), debug=False)

    err = capsys.readouterr().err
    assert "topsecretkey" not in err
    assert "KeyError" in err
    assert "--debug" in err


def test_a_standby_is_told_apart_from_a_server_that_is_down(capsys: pytest.CaptureFixture[str]) -> None:
    """It answers, and takes no writes: what helps is another URL."""
    report_failure(psycopg.errors.ReadOnlySqlTransaction("cannot execute UPDATE"), debug=False)

    assert "read-only: set database.url to the primary" in capsys.readouterr().err


def test_debug_shows_the_traceback_with_secrets_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Even the traceback a user pastes into a bug report has no key in it."""
    token = known_secrets.set(("topsecretkey",))
    try:
        raise RuntimeError("https://host/v3/topsecretkey")
    except RuntimeError as error:
        report_failure(error, debug=True)
    finally:
        known_secrets.reset(token)

    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "topsecretkey" not in err


def test_out_of_a_group_ours_is_reported() -> None:
    """Tasks fail in groups; one of them says what to do."""
    ours = errors.DatabaseUnavailable("x")

    assert find_cause(ExceptionGroup("g", [ValueError(), ExceptionGroup("h", [ours])])) is ours
