"""`convert`: writes a model for other programs."""

from __future__ import annotations

from rich.console import Console

from realtime_kp import __version__
from realtime_kp.apps.exit_codes import DONE
from realtime_kp.apps.signals import interrupting
from realtime_kp.config import ConvertConfig
from realtime_kp.errors import ArgumentError, ConfigError
from realtime_kp.features.convert import FORMATS, Conversion, convert
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.models import find_model
from realtime_kp.sinks import check_output, write_atomically


def run_convert(config: ConvertConfig, console: Console, *, quiet: bool = False) -> int:
    """Convert a model, and write the file.

    Args:
        config: What is converted.
        console: Where the result is printed.
        quiet: Print errors only.

    Returns:
        0.

    Raises:
        RealtimeKpError: The error to report to the user.
    """
    suffix = FORMATS[config.to]
    if config.output.suffix.lower() != suffix:
        raise ConfigError(f"{config.to} is written as {suffix}, got {config.output.name!r}")
    for path in {config.output, *([config.output.with_suffix(".bin")] if suffix == ".xml" else [])}:
        check_output(path, overwrite=config.overwrite)
    model = find_model(config.model, config.revision)
    settings = DecodeSettings(
        config.max_keypoints, config.nms_radius, model.border_px, config.subpixel, "exact"
    )
    try:
        conversion = Conversion(
            config.to,
            config.size_wh,
            config.precision == "fp16",
            settings if config.with_keypoints else None,
            config.keypoint_threshold,
        )
    except ArgumentError as exc:
        raise ConfigError(str(exc)) from exc
    with interrupting():
        files = convert(model, conversion, __version__)
        # The file that is named comes last: what it needs is there then.
        for end, data in sorted(files.items(), key=lambda item: item[0] == suffix):
            write_atomically(config.output.with_suffix(end), data)
    if not quiet:
        size = sum(map(len, files.values())) / 1e6
        console.print(f"{model.ref.name}: {config.output}, {size:.1f} MB", highlight=False, soft_wrap=True)
    return DONE
