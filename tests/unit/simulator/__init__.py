"""Promises of the simulator: each API by calling it directly, the server over loopback."""
