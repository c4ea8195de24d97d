"""The command line: parses flags, calls the commands, maps errors to exit codes."""

from realtime_kp.cli.main import main, run

__all__ = ["main", "run"]
