"""The commands: parse, call, print. One small file per group; nothing is decided or computed here.

Heavy modules are imported inside the functions that need them, so that `--help` answers at once.
JSON and CSV go to stdout alone; notes, progress and errors go to stderr.
"""
