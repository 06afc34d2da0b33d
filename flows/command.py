"""What the command lines of all flows share: options, exit codes, and how SIGTERM ends them."""

import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

from pipeline.engine.trouble import SAFE, RunError, refusal
from pipeline.settings import Settings
from pipeline.study import StudyError, parse_date

EXIT_FAILED, EXIT_USAGE, EXIT_CANCELLED = 1, 2, 130


def make_parser(description: str, is_run: bool = True) -> ArgumentParser:
    """Return a command line with the options that all flows share; every field of `Settings` is one.

    Those that run stages (`is_run`) also take dates and a report.
    """
    parser = ArgumentParser(description=description)
    parser.add_argument("--study", type=Path, required=True, help="study file (TOML)")
    if is_run:
        parser.add_argument("--start", help="first UTC date, YYYY-MM-DD; default: the study's")
        parser.add_argument("--end", help="last UTC date, included; default: the study's")
        parser.add_argument("--report", type=Path, help="write the HTML report of the run to this file")
    for name, field in Settings.model_fields.items():
        about = " ".join((field.description or name).split()).replace("%", "%%")
        parser.add_argument(_option(name), required=field.is_required(), metavar="VALUE", help=about)
    return parser


def read_settings(options: Namespace) -> Settings:
    """Return the settings among the options of a command line; StudyError names one that is no good."""
    given = {name: getattr(options, name) for name in Settings.model_fields}
    try:
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise StudyError(" ".join([*(f"{_option(str(name))}:" for name in first["loc"]), first["msg"]])) from None


def run_flow(flow: Callable[..., object], options: Namespace, **more: object) -> None:
    """Run a flow with the shared options and `more` parameters, or leave with a line and an exit code.

    1: failed, 2: a study, date or setting that cannot be used, 130: cancelled by Ctrl-C or SIGTERM.
    """
    signal.signal(signal.SIGTERM, _leave)
    try:
        flow(**_as_parameters(options), **more)
    except (RunError, *SAFE) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE if isinstance(error, StudyError) else EXIT_FAILED)
    except OSError as error:
        print(f"error: {refusal(error)}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_CANCELLED)


def _leave(number: int, frame: FrameType | None) -> None:
    """Leave the orderly way: Prefect hands SIGTERM back once its flow has ended, and death by signal
    would leave the temporary server that it started for the run behind.
    """
    sys.exit(EXIT_CANCELLED)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _as_parameters(options: Namespace) -> dict[str, Any]:
    shared = {"study_file": options.study, "settings": read_settings(options)}
    if "start" not in options:
        return shared
    return shared | {
        "start": parse_date(options.start) if options.start else None,
        "end": parse_date(options.end) if options.end else None,
        "report": options.report,
    }
