"""`python -m realtime_kp`."""

from realtime_kp.cli import run

if __name__ == "__main__":
    run()
