"""What the command lines of all flows share: options, exit codes, and how SIGTERM ends them."""

import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.engine.trouble import SAFE, RunError
from pipeline.settings import Settings
from pipeline.study import StudyError, parse_date

DEFAULT_BUCKETS: int = Settings.model_fields["n_buckets"].default
EXIT_FAILED, EXIT_USAGE, EXIT_CANCELLED = 1, 2, 130


def make_parser(description: str) -> ArgumentParser:
    """Return a command line with the options that all flows share."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--study", type=Path, required=True, help="study file (TOML)")
    parser.add_argument("--root", type=Path, required=True, help="folder of all tables of the study")
    parser.add_argument("--start", help="first UTC date, YYYY-MM-DD; default: the study's")
    parser.add_argument("--end", help="last UTC date, included; default: the study's")
    parser.add_argument("--buckets", type=int, default=DEFAULT_BUCKETS, help="files per date (default: %(default)s)")
    parser.add_argument("--scheduler", help="address of a Dask scheduler; default: one in this process")
    return parser


def run_flow(flow: Callable[..., object], options: Namespace, **more: object) -> None:
    """Run a flow with the shared options and `more` parameters, or leave with a line and an exit code.

    1: failed, 2: a study or date that cannot be used, 130: cancelled by Ctrl-C or SIGTERM.
    """
    signal.signal(signal.SIGTERM, _leave)
    try:
        flow(**_as_parameters(options), **more)
    except (RunError, *SAFE) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE if isinstance(error, StudyError) else EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_CANCELLED)


def _leave(number: int, frame: FrameType | None) -> None:
    """Leave the orderly way: Prefect hands SIGTERM back once its flow has ended, and death by signal
    would leave the temporary server that it started for the run behind.
    """
    sys.exit(EXIT_CANCELLED)


def _as_parameters(options: Namespace) -> dict[str, Any]:
    return {
        "study_file": options.study,
        "root": options.root,
        "start": parse_date(options.start) if options.start else None,
        "end": parse_date(options.end) if options.end else None,
        "n_buckets": options.buckets,
        "scheduler": options.scheduler,
    }
