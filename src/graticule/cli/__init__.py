"""The command line: parse, call a verb, print. One small file a command, loaded when it is asked for."""

from graticule.cli.app import main

__all__ = ["main"]
