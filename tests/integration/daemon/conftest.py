"""The engine's stage, for the parts of the daemon that need a database and the simulated APIs."""

from tests.integration.engine.conftest import open_stage

__all__ = ["open_stage"]
