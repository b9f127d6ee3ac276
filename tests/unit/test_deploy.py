"""What config/deploy runs exists: commands, options, variables, files; and the unit stays hardened."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from indexer.cli.app import build_app
from indexer.config_environment import read_environment

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "config" / "deploy"

#: What a process needs that talks to APIs and to PostgreSQL, and nothing else.
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
}


def check_command(words: list[str]) -> None:
    """The command and its options exist. Nothing is run."""
    group = typer.main.get_command(build_app(words))
    context = group.make_context("indexer", list(words), resilient_parsing=False)
    rest = [*context._protected_args, *context.args]
    name, command, arguments = group.resolve_command(context, rest)  # type: ignore[attr-defined]
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, arguments, parent=context)
        name, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, arguments, parent=context)


def check_variables(names: dict[str, str]) -> None:
    """They are variables the program knows; a file that is not there yet is no mistake here."""
    found = read_environment({name: "x" for name in names if not name.endswith("_FILE")})
    assert [line for line in found.mistakes if "unknown variable" in line] == []
    files = read_environment({name: os.devnull for name in names if name.endswith("_FILE")})
    assert [line for line in files.mistakes if "unknown variable" in line] == []


def read_unit() -> dict[str, list[str]]:
    """Every key of the unit with its values, in order."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "indexer.service").read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def read_compose() -> dict[str, Any]:
    """The compose file."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def read_dockerfile() -> list[tuple[str, str]]:
    """Its instructions, with continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


@pytest.mark.parametrize("key", sorted(HARDENING))
def test_the_unit_is_hardened(key: str) -> None:
    """Each line takes something away that the daemon does not need."""
    assert read_unit()[key] == [HARDENING[key]]


def test_the_unit_runs_what_exists() -> None:
    """Its command, the commands of its comments, and the variables it sets."""
    text = (DEPLOY / "indexer.service").read_text(encoding="utf-8")
    (command,) = read_unit()["ExecStart"]
    variables = dict.fromkeys(re.findall(r"Environment=(INDEXER_\w+)=", text), "")

    check_command(shlex.split(command)[1:])
    check_command(["work"])
    check_variables(variables)
    assert len(variables) >= 3


def test_the_unit_stops_by_itself_before_it_is_killed() -> None:
    """The daemon promises five seconds; configuration mistakes are not tried again."""
    unit = read_unit()

    assert int(unit["TimeoutStopSec"][0]) > 5
    assert unit["RestartPreventExitStatus"] == ["2"]
    assert unit["User"] != ["root"]


def test_the_services_run_what_exists() -> None:
    """Every command of the compose file, and every variable it sets."""
    compose = read_compose()
    ours = {name: service for name, service in compose["services"].items() if service["image"] == "indexer"}

    for service in ours.values():
        check_command(service.get("command", ["run"]))
        check_variables(service["environment"])
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
    assert {"upgrade", "daemon", "worker"} <= set(ours)


def test_the_services_wait_for_what_exists() -> None:
    """Nobody waits for a service that is not there, and doors are open on this machine only."""
    services = read_compose()["services"]

    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_image_runs_what_exists() -> None:
    """Its command, its variables, and what it copies."""
    instructions = read_dockerfile()
    (command,) = [text for name, text in instructions if name == "CMD"]
    (settings,) = [text for name, text in instructions if name == "ENV"]
    copied = [text.split()[:-1] for name, text in instructions if name == "COPY" and "--from" not in text]

    check_command(yaml.safe_load(command))
    check_variables(dict.fromkeys(re.findall(r"\bINDEXER_\w+", settings), ""))
    assert [path for paths in copied for path in paths if not (ROOT / path).exists()] == []


def test_the_image_has_an_init_and_no_root() -> None:
    """Two stages; the last one ends as an ordinary user under an init."""
    instructions = read_dockerfile()
    names = [name for name, _ in instructions]
    last = dict(instructions)

    assert names.count("FROM") == 2
    assert yaml.safe_load(last["ENTRYPOINT"])[0] == "tini"
    assert last["USER"].split(":")[0] not in ("root", "0")
    assert names.index("USER") < names.index("ENTRYPOINT")
