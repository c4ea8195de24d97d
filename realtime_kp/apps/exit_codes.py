"""Exit codes of the commands; docs/video.md lists them."""

DONE = 0
INTERNAL = 1
USAGE = 2
SOURCE = 3
MODEL = 4
OUTPUT = 5
DAMAGED = 6
SLOWER = 7
INTERRUPTED = 130
