"""A root that is being changed as a whole: until the command that began has finished, no other may write there.

Such commands leave a root half changed where they are killed, though never a file. The note is written before the
first change and removed after the last, so that running the same command again is the only way on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.engine.files import exists, read_replaceable, remove_file, write_json
from pipeline.engine.trouble import RunError

NOTE = "_unfinished.json"


def begin(root: Path, command: str, **facts: Any) -> None:
    """Note that `command` changes the root, and what it has to know when it goes on."""
    write_json(root / NOTE, {"command": command, **facts})


def finish(root: Path) -> None:
    """Note that the root is whole."""
    remove_file(root / NOTE)


def unfinished(root: Path) -> dict[str, Any]:
    """Return what `begin` noted; nothing where the root is whole."""
    path = root / NOTE
    if not exists(path):
        return {}
    noted: dict[str, Any] = read_replaceable(path, "is taken for whole, so rather put it back from a backup")
    return noted


def check_whole_root(root: Path, command: str = "") -> None:
    """RunError where another command than `command` has begun to change the root and not finished."""
    begun = unfinished(root).get("command", command)
    if begun != command:
        raise RunError(f"{root}: `sojourn {begun}` has not finished there; run it again to its end first")
