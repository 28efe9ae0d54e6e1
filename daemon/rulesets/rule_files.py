"""Reads and writes rule files: the shipped ones, the operator's and the shadow's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

import rules
from daemon.errors import Conflict, Unavailable
from daemon.settings import RulesSettings

_SHIPPED_NAMES = {rules.RuleFormat.GATE: "gate.yaml", rules.RuleFormat.SCORE: "score.yaml"}


class RulesetPair(Struct, frozen=True):
    """One ruleset of each format: the gate's and the score's."""

    gate: rules.Ruleset
    score: rules.Ruleset


def build_ruleset_pair(sets: Mapping[rules.RuleFormat, rules.Ruleset]) -> RulesetPair:
    """Return the pair. Raises `RulesInvalid` where a format has no file at all."""
    for kind, name in _SHIPPED_NAMES.items():
        if kind not in sets:
            sentence = f"No file of `{kind}` is there: {name} is missing"
            raise rules.RulesInvalid([rules.RuleProblem(name, 1, 1, sentence)])
    return RulesetPair(sets[rules.RuleFormat.GATE], sets[rules.RuleFormat.SCORE])


def read_shipped_files(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read the files that the operator's are merged over. Raises `RulesInvalid`."""
    gate = [Path(name) for name in settings.gate] or [rules.DEFAULTS / "gate.yaml"]
    score = [Path(name) for name in settings.score] or [rules.DEFAULTS / "score.yaml"]
    return rules.read_rule_files([*gate, *score])


def read_own_files(paths: Sequence[Path]) -> tuple[rules.RuleFile, ...]:
    """Read an operator's files, and those in folders. Raises `RulesInvalid`."""
    files = [file for path in paths for file in rules.list_rule_files(path)]
    return rules.read_rule_files(files, own=True)


def read_configured_files(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read the shipped files, and those of the operator's folder. Raises `RulesInvalid`."""
    return (*read_shipped_files(settings), *read_own_files(_existing_folder(settings.dir)))


def read_shadow_files(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read the shadow's files; empty where there is no shadow. Raises `RulesInvalid`."""
    found = read_own_files(_existing_folder(settings.shadow))
    return (*read_shipped_files(settings), *found) if found else ()


def _existing_folder(name: str) -> list[Path]:
    """Return the folder that a setting names, if it exists, or a link that leads to none."""
    path = Path(name)
    try:
        return [path] if name and (path.is_dir() or path.is_symlink()) else []
    except OSError:  # not readable; reading it reports why, with a location
        return [path]


_NO_EXECUTE_BITS: Final = 0o666
_GROUP_BITS: Final = 0o060


def require_writable_folder(settings: RulesSettings) -> Path:
    """Return the operator's folder. Raises :class:`Conflict` where it can't be written."""
    if not settings.dir:
        raise Conflict(
            "No folder for rules of your own is set.",
            hint="Set dir under [rules] in leadmaster.toml and restart LeadMaster.",
        )
    folder = Path(settings.dir)
    if not folder.is_dir():
        raise Conflict(
            f"The folder for rules of your own, {folder}, does not exist.",
            hint=f"Create it, for the user that runs LeadMaster: mkdir -p {folder}",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Conflict(
            f"LeadMaster can't write in {folder}.",
            hint="Give the folder to the user that runs LeadMaster, or edit the files by hand.",
        )
    return folder


def write_rule_files(files: Iterable[rules.RuleFile]) -> None:
    """Write files, each as a whole: after a power cut it has the old content or the new.

    Raises :class:`Unavailable`.
    """
    for file in files:
        path = Path(file.path)
        try:
            # Resolved, so that a link stays a link and its target is replaced.
            _replace_file(path.resolve(), file.text.encode())
        except OSError as error:
            raise Unavailable(f"The file {path} could not be written: {error.strerror}.") from error


_UNDONE_SUFFIX: Final = ".undone"


def restore_rule_files(
    settings: RulesSettings,
    undone: Iterable[rules.RuleFile],
    former: Iterable[rules.RuleFile],
    *,
    keeps_texts: bool = False,
) -> list[str]:
    """Give the files of the operator's folder their former texts; return the paths of those.

    A file whose text is not the one to undo stays as it is: somebody changed it meanwhile. One that
    did not exist then gets the ending `.undone`, so that it is no rule file any more; with
    `keeps_texts` every undone text is kept so. Raises :class:`Conflict` and :class:`Unavailable`
    as the writing does, `RulesInvalid` as the reading.
    """
    folder = require_writable_folder(settings)
    present = {file.path: file.text for file in read_own_files([folder])}
    texts = {file.path: file.text for file in undone if file.own}
    wanted = {file.path: file for file in former if file.own}
    restored = []
    for path in sorted(texts.keys() | wanted.keys()):
        file, text = wanted.get(path), texts.get(path)
        is_changed = text != (file.text if file else None)
        if not is_changed or present.get(path) != text or Path(path).parent != folder:
            continue
        if file is not None:
            if keeps_texts and text is not None:
                write_rule_files([rules.RuleFile(path + _UNDONE_SUFFIX, text, own=True)])
            write_rule_files([file])
        else:
            _set_aside(Path(path))
        restored.append(path)
    return restored


def _set_aside(path: Path) -> None:
    try:
        path.replace(path.with_name(path.name + _UNDONE_SUFFIX))
    except OSError as error:
        raise Unavailable(f"The file {path} could not be renamed: {error.strerror}.") from error


def _replace_file(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")  # hidden, so that it is not read as a rule file
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _choose_mode(path))
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def _choose_mode(path: Path) -> int:
    # The rights of the old file, or of the folder: who could edit it by hand still can.
    folder = path.parent.stat().st_mode
    mode = path.stat().st_mode if path.exists() else folder
    if folder & stat.S_ISGID:
        # The file is ours from now on: its old owner is left with what the group may do.
        mode |= folder & _GROUP_BITS
    return stat.S_IMODE(mode) & _NO_EXECUTE_BITS


class RuleFileContent(msgspec.Struct, frozen=True):
    """A rule file in a message to a child process."""

    path: str
    text: str
    own: bool


def to_rule_file_content(file: rules.RuleFile) -> RuleFileContent:
    """Return a rule file for a message."""
    return RuleFileContent(file.path, file.text, file.own)


def to_rule_file(file: RuleFileContent) -> rules.RuleFile:
    """Return the rule file of a message."""
    return rules.RuleFile(file.path, file.text, file.own)
