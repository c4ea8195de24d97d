"""`python -m realtime_kp`."""

import sys

from realtime_kp.cli import main

if __name__ == "__main__":
    sys.exit(main())
