"""`scripts/setup`, with every program that it calls played by a script that logs its arguments."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = [
    *("awk", "cat", "cksum", "cp", "date", "dirname", "grep", "head", "mkdir", "mv", "pwd", "rm"),
    *("sed", "sh", "tail"),
]
PYTHON = """\
#!/bin/sh
me=$(cat "$0.name")
echo "$me $*" >>"$LOG"
case "$*" in
*version_info\\[:2\\]' '*) exit {fits} ;;
*'import ensurepip') exit {ensurepip} ;;
'-m venv '*)
    for last; do :; done
    mkdir -p "$last/bin" && cp "$0" "$last/bin/python" && echo venv >"$last/bin/python.name" ;;
*'--version') exit {pip_found} ;;
*'print('*) echo python3.12 ;;
*' -r locks/all.txt') exit {pip} ;;
esac
"""
UV = """\
#!/bin/sh
echo "uv $*" >>"$LOG"
case "$*" in
venv*)
    for last; do :; done
    mkdir -p "$last/bin" && cp "$BIN/python-for-uv" "$last/bin/python" &&
    echo venv >"$last/bin/python.name" ;;
*' -r locks/all.txt') exit {status} ;;
esac
"""


@dataclass
class Clone:
    """A fresh clone on a machine whose programs are all fakes."""

    folder: Path

    @property
    def programs(self) -> Path:
        """The only folder on PATH."""
        return self.folder / "bin"

    def add(self, name: str, script: str) -> None:
        """Put a program on PATH."""
        (self.programs / name).write_text(script, encoding="utf-8")
        (self.programs / name).chmod(0o755)
        (self.programs / f"{name}.name").write_text(name, encoding="utf-8")

    def add_python(
        self, name: str, *, fits: int = 0, ensurepip: int = 0, pip_found: int = 0, pip: int = 0
    ) -> None:
        """Put an interpreter on PATH; each number is the exit code of what it is asked."""
        self.add(name, PYTHON.format(fits=fits, ensurepip=ensurepip, pip_found=pip_found, pip=pip))

    def add_uv(self, status: int = 0) -> None:
        """Put uv on PATH; `status` is what its installation of the pins exits with."""
        self.add_python("python-for-uv", pip_found=1)
        self.add("uv", UV.format(status=status))

    def setup(self) -> "subprocess.CompletedProcess[str]":
        """Run it, and keep only its own log."""
        (self.folder / "calls").unlink(missing_ok=True)
        return subprocess.run(
            [self.folder / "scripts" / "setup"],
            env={
                "PATH": str(self.programs),
                "BIN": str(self.programs),
                "LOG": str(self.folder / "calls"),
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def installs(self) -> list[str]:
        """Every call of the last run that would have touched the network or made something."""
        log = self.folder / "calls"
        calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [call for call in calls if " install " in call or " venv " in call]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone on a Linux x86-64 machine with room, and nothing of Python's yet."""
    for name in ("scripts/setup", "pyproject.toml", "locks/all.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        real = shutil.which(tool)
        assert real is not None, tool
        (tmp_path / "bin" / tool).symlink_to(real)
    made = Clone(tmp_path)
    made.add("uname", '#!/bin/sh\n[ "$1" = -s ] && echo Linux || echo x86_64\n')
    made.add("ldd", "#!/bin/sh\necho glibc\n")
    made.add("df", "#!/bin/sh\necho header\necho disk 1 1 99999999 1% /\n")
    return made


def test_the_newest_python_that_runs_and_fits_is_taken(clone: Clone) -> None:
    """A shim that is found but fails, or a version that does not fit, is passed over."""
    clone.add_python("python3.13", fits=127)
    clone.add_python("python3.12", fits=1)
    clone.add_python("python3.11")
    clone.add_python("python3")
    assert clone.setup().returncode == 0
    assert clone.installs[0] == "python3.11 -m venv .venv"


def test_no_python_that_fits_says_what_to_install(clone: Clone) -> None:
    """Python 3.14 alone is refused, since TensorFlow has no wheel for it."""
    clone.add_python("python3", fits=1)
    refusal = clone.setup()
    assert refusal.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 that runs was found" in refusal.stderr
    assert "apt-get install python3" in refusal.stderr
    assert clone.installs == []


def test_pip_installs_the_pins_with_hashes_then_the_project(clone: Clone) -> None:
    """Nothing is installed without a hash, and what builds wheels comes first."""
    clone.add_python("python3")
    assert clone.setup().returncode == 0
    pip = "venv -m pip install --no-compile --quiet"
    assert clone.installs[1:] == [
        f"{pip} --require-hashes -r .venv/build.txt",
        f"{pip} --require-hashes --no-build-isolation -r locks/all.txt",
        f"{pip} --no-deps --no-build-isolation -e .",
    ]
    build = (clone.folder / ".venv" / "build.txt").read_text(encoding="utf-8")
    assert build.startswith("setuptools==")
    assert build.count("==") == 1
    assert "--hash=sha256:" in build


def test_uv_is_taken_where_it_is_found(clone: Clone) -> None:
    """With the same pins and hashes, and into the same place."""
    clone.add_python("python3")
    clone.add_uv()
    assert clone.setup().returncode == 0
    uv = "uv pip install --quiet --python .venv/bin/python"
    assert clone.installs == [
        f"uv venv --quiet --python {clone.programs}/python3 .venv",
        f"{uv} --require-hashes -r .venv/build.txt",
        f"{uv} --require-hashes --no-build-isolation -r locks/all.txt",
        f"{uv} --no-deps --no-build-isolation -e .",
    ]


def test_pip_stands_in_when_uv_reaches_no_index(clone: Clone) -> None:
    """As uv ignores pip's configuration, pip may reach what it cannot."""
    clone.add_python("python3")
    clone.add_uv(status=2)
    assert clone.setup().returncode == 0
    assert clone.installs[-4] == "python3 -m venv .venv"
    assert clone.installs[-2].startswith("venv -m pip install ")
    assert clone.installs[-2].endswith(" --require-hashes --no-build-isolation -r locks/all.txt")


def test_without_ensurepip_another_pip_installs_into_the_environment(clone: Clone) -> None:
    """As Debian's Python does it when its venv package is not there."""
    clone.add_python("python3", ensurepip=1)
    assert clone.setup().returncode == 0
    assert clone.installs[0] == "python3 -m venv --without-pip .venv"
    assert clone.installs[-1] == (
        "python3 -m pip --python .venv/bin/python install --no-compile --quiet"
        " --no-deps --no-build-isolation -e ."
    )


def test_without_any_pip_the_line_to_type_is_given(clone: Clone) -> None:
    """The package that is missing is named for the Python that was found."""
    clone.add_python("python3", ensurepip=1, pip_found=1)
    refusal = clone.setup()
    assert refusal.returncode == 1
    assert "apt-get install python3.12-venv" in refusal.stderr


def test_a_broken_install_is_not_taken_for_ready(clone: Clone) -> None:
    """The next run begins anew."""
    clone.add_python("python3", pip=1)
    refusal = clone.setup()
    assert refusal.returncode == 1
    assert "the installation failed" in refusal.stderr
    assert not (clone.folder / ".venv" / "ready").exists()
    clone.add_python("python3")
    assert clone.setup().returncode == 0
    assert clone.installs[0] == "python3 -m venv .venv"


def test_with_a_valid_stamp_nothing_is_touched(clone: Clone) -> None:
    """The second run installs nothing, asks no network, and says nothing."""
    clone.add_python("python3")
    first, second = clone.setup(), clone.setup()
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.splitlines()[-1].startswith("setup: installed in ")
    assert (second.stdout, second.stderr, clone.installs) == ("", "", [])


@pytest.mark.parametrize("changed", ["pyproject.toml", "locks/all.txt"])
def test_changed_pins_are_installed_over_the_old_ones(clone: Clone, changed: str) -> None:
    """The environment is brought up to date, and not made anew."""
    clone.add_python("python3")
    clone.setup()
    with (clone.folder / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert "bringing .venv up to date" in clone.setup().stdout
    assert len(clone.installs) == 3
    clone.setup()
    assert clone.installs == []


def test_a_moved_clone_is_installed_anew(clone: Clone, tmp_path: Path) -> None:
    """A virtual environment holds the path where it was made."""
    clone.add_python("python3")
    clone.setup()
    moved = Clone(tmp_path.with_name(f"{tmp_path.name}-moved"))
    os.rename(tmp_path, moved.folder)  # noqa: PTH104 - a Path would be moved as well
    assert moved.setup().returncode == 0
    assert moved.installs[0] == "python3 -m venv .venv"


def test_an_interpreter_that_is_gone_is_noticed(clone: Clone) -> None:
    """A system upgrade may have removed what .venv points to."""
    clone.add_python("python3")
    clone.setup()
    (clone.folder / ".venv" / "bin" / "python").unlink()
    assert clone.setup().returncode == 0
    assert clone.installs[0] == "python3 -m venv .venv"


def test_a_disk_without_room_is_refused(clone: Clone) -> None:
    """Before anything is downloaded."""
    clone.add_python("python3")
    clone.add("df", "#!/bin/sh\necho header\necho disk 1 1 4194303 1% /\n")
    refusal = clone.setup()
    assert (refusal.returncode, clone.installs) == (1, [])
    assert "4095 MB free" in refusal.stderr
    assert "4 GB are needed" in refusal.stderr


@pytest.mark.parametrize(
    ("system", "machine", "said"),
    [
        ("Darwin", "x86_64", "Darwin x86_64 is not supported"),
        ("FreeBSD", "amd64", "FreeBSD amd64 is not supported"),
        ("MINGW64_NT-10.0", "x86_64", "use WSL2"),
        ("Linux", "aarch64", "a system Java 17 or newer is needed (found 11)"),
        ("Darwin", "arm64", "macOS 13.6 is too old"),
    ],
)
def test_an_unsupported_machine_is_refused_by_name(
    clone: Clone, system: str, machine: str, said: str
) -> None:
    """Nothing is downloaded to a machine that cannot run it."""
    clone.add_python("python3")
    clone.add("uname", f'#!/bin/sh\n[ "$1" = -s ] && echo {system} || echo {machine}\n')
    clone.add("sw_vers", "#!/bin/sh\necho 13.6\n")
    clone.add("java", "#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    refusal = clone.setup()
    assert (refusal.returncode, clone.installs) == (1, [])
    assert said in refusal.stderr


@pytest.mark.parametrize(("system", "machine"), [("Linux", "aarch64"), ("Darwin", "arm64")])
def test_the_other_supported_machines_are_let_in(clone: Clone, system: str, machine: str) -> None:
    """Linux on arm64 with a new Java, and macOS on arm64."""
    clone.add_python("python3")
    clone.add("uname", f'#!/bin/sh\n[ "$1" = -s ] && echo {system} || echo {machine}\n')
    clone.add("sw_vers", "#!/bin/sh\necho 14.0\n")
    clone.add("java", "#!/bin/sh\necho 'openjdk version \"17.0.2\"' >&2\n")
    assert clone.setup().returncode == 0


def test_musl_is_refused(clone: Clone) -> None:
    """TensorFlow has no wheels for it."""
    clone.add_python("python3")
    clone.add("ldd", "#!/bin/sh\necho 'musl libc (x86_64)' >&2\nexit 1\n")
    refusal = clone.setup()
    assert (refusal.returncode, clone.installs) == (1, [])
    assert "musl is not supported" in refusal.stderr
