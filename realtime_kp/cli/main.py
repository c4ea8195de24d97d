"""Entry point: options of every command, logging, and the exit code of each kind of error."""

from __future__ import annotations

import gc
import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_args

from cyclopts import App, CycloptsError, Group, Parameter, Token, convert
from cyclopts.config import Dict

from realtime_kp import __version__
from realtime_kp.apps.console import let_every_message_print
from realtime_kp.apps.exit_codes import INTERNAL, INTERRUPTED, MODEL, OUTPUT, SOURCE, USAGE
from realtime_kp.apps.signals import ignore_signals
from realtime_kp.cli.commands import Commands
from realtime_kp.config import SECTIONS, read_yaml
from realtime_kp.errors import ArgumentError, ConfigError, ModelError, RealtimeKpError, SinkError, SourceError
from realtime_kp.machine import missing_system_packages

log = logging.getLogger("realtime_kp")

_OTHER_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "calibrate": (),
    "export": (),
    "draw": (),
    "doctor": ("superpoint",),
    "evaluate": ("superpoint", "report"),
    "train": (),
    "quantise": (),
}

COMMON = Group("Every command", sort_key=0)
EXIT_CODES: dict[type[RealtimeKpError], int] = {
    ConfigError: USAGE,
    SourceError: SOURCE,
    ModelError: MODEL,
    SinkError: OUTPUT,
    ArgumentError: INTERNAL,
}


_STANDARD_INPUT = "stdin:"

# Flags that may be given several times, whose values are one text in the settings.
_REPEATED = (("--roi", "--input.roi"), ("--export", "--output.export"))


def run() -> NoReturn:
    """Entry point of the console script."""
    code = main()
    ignore_signals()
    # A garbage collection over the objects of the large libraries at exit would take a second.
    gc.freeze()
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Arguments without the program name; None takes those of this process.

    Returns:
        The exit code, see `apps/exit_codes.py`.
    """
    given = sys.argv[1:] if arguments is None else arguments
    # The parser takes a lone hyphen for an option.
    tokens = [_STANDARD_INPUT if token == "-" else token for token in given]
    verbose = "-v" in tokens or "--verbose" in tokens
    let_every_message_print()
    try:
        code = make_app().meta(tokens, exit_on_error=False, print_error=False)
        return code if isinstance(code, int) else 0
    except CycloptsError as exc:
        return _tell(" ".join(str(exc).split()), USAGE, verbose)
    except RealtimeKpError as exc:
        return _tell(str(exc), EXIT_CODES[type(exc)], verbose)
    except KeyboardInterrupt:
        return _tell("interrupted", INTERRUPTED, verbose)
    except BrokenPipeError:
        # The reader of the pipe has gone: flushing the rest at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT
    except ImportError as exc:
        return _tell(_missing_library(exc), MODEL, verbose)
    except Exception as exc:
        return _tell(f"internal error, please report it: {type(exc).__name__}: {exc}", INTERNAL, verbose)


def make_app() -> App:
    """The command line with all commands and the options that they share."""
    app = App(
        name="realtime-kp",
        version=__version__,
        help="Real-time SuperPoint keypoint tracking for webcams, video files and network streams.",
        result_action="return_value",
        default_parameter=Parameter(converter=_converted),
    )
    commands = Commands()
    for command in (
        commands.live,
        commands.video,
        commands.bench,
        commands.calibrate,
        commands.export,
        commands.draw,
        commands.doctor,
        commands.train,
        commands.quantise,
        commands.convert,
        commands.evaluate,
    ):
        app.command(command)
    app.register_install_completion_command()

    @app.meta.default
    def launch(
        *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Annotated[Path | None, Parameter(name="--config", group=COMMON)] = None,
        print_config: Annotated[bool, Parameter(name="--print-config", negative="", group=COMMON)] = False,
        verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="", group=COMMON)] = False,
        quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", group=COMMON)] = False,
    ) -> Any:
        """Options of every command.

        Args:
            words: The command and its own flags.
            config: Read settings from this YAML file; flags override it.
            print_config: Print the settings as YAML and stop.
            verbose: Tell more; show tracebacks.
            quiet: Results and errors only.
        """
        _set_up_logging(verbose=verbose, quiet=quiet)
        commands.quiet, commands.print_config = quiet, print_config
        if config is not None:
            values = _for_command(read_yaml(config), words)
            app.config = (Dict(values, source=str(config)),)
        joined = list(words)
        for flags in _REPEATED:
            joined = _values_joined(joined, flags)
        return app(joined, exit_on_error=False, print_error=False)

    return app


def _values_joined(words: Sequence[str], flags: tuple[str, ...]) -> list[str]:
    """The words with all values of a flag, under any of its names, as one text."""
    kept: list[str] = []
    values: list[str] = []
    left = iter(words)
    for word in left:
        flag, sign, value = word.partition("=")
        if "--" in kept or flag not in flags:
            kept.append(word)
            continue
        given = value if sign else next(left, None)
        if given is None:
            return list(words)  # its value is missing, which cyclopts tells
        values.append(given)
    if not values:
        return kept
    # Behind a lone --, everything is a file.
    place = kept.index("--") if "--" in kept else len(kept)
    return [*kept[:place], f"{flags[0]}={';'.join(values)}", *kept[place:]]


def _for_command(values: dict[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """Move the sections of a YAML file below the name of the command, where cyclopts expects them.

    At the top level cyclopts would skip sections named like a command, such as `video:`. Sections of other
    commands are omitted, so that one file may serve all commands.
    """
    known = {**SECTIONS, **_OTHER_SECTIONS}
    command = next((word for word in words if word in known), None)
    if command is None:
        return {}
    others = {section for sections in known.values() for section in sections} - set(known[command])
    return {command: {section: value for section, value in values.items() if section not in others}}


def _converted(kind: Any, tokens: Sequence[Token]) -> Any:
    """The value of a flag; cyclopts would round 5.5 where a whole number is wanted."""
    if int in (get_args(kind) or (kind,)) and "." in tokens[0].value:
        raise ValueError(f"must be a whole number, got {tokens[0].value}")
    return convert(kind, tokens)


def _set_up_logging(*, verbose: bool, quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)


def _missing_library(exc: ImportError) -> str:
    packages = missing_system_packages()
    if packages:
        return f"system libraries are missing ({exc}): apt-get install {' '.join(packages)}"
    return f"a package is missing or broken: {exc}; reinstall with pip install realtime-kp"


def _tell(message: str, code: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    sys.stderr.write(f"realtime-kp: {' '.join(message.splitlines())}\n")
    return code
