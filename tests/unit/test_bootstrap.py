"""The `aiw` file: what it does before there is a .venv, and how little it does once there is one."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import re
import shutil
import string
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
AIW = ROOT / "aiw"
I18N = ROOT / "common" / "i18n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without packages: `aiw`, its catalogues, and locks of two packages."""
    shutil.copy(AIW, tmp_path / "aiw")
    (tmp_path / "common" / "i18n").mkdir(parents=True)
    for name in ("cli_up.en.toml", "cli_up.ko.toml"):
        shutil.copy(I18N / name, tmp_path / "common" / "i18n" / name)
    base = "click==8.1.7 \\\n    --hash=sha256:aa\ncolorama==0.4 ; sys_platform == 'win32' \\\n    --hash=sha256:bb\n"
    (tmp_path / "requirements.lock").write_text(base)
    (tmp_path / "requirements-dev.lock").write_text(base + "pytest-xdist==3.6.1 \\\n    --hash=sha256:cc\n")
    return tmp_path


def load(clone: Path) -> ModuleType:
    """The `aiw` file of a clone, as a module."""
    loader = importlib.machinery.SourceFileLoader("aiw_under_test", str(clone / "aiw"))
    spec = importlib.util.spec_from_loader("aiw_under_test", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    shutil.rmtree(clone / "__pycache__", ignore_errors=True)
    return module


def pretend_installed(clone: Path, *packages: str) -> Path:
    """A .venv that holds `packages`, as an installer leaves them; the Python in it is this one."""
    site = clone / ".venv" / "lib" / "python3.11" / "site-packages"
    for package in packages:
        (site / f"{package}.dist-info").mkdir(parents=True)
        (site / f"{package}.dist-info" / "RECORD").touch()
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return site


def answering_venv(clone: Path) -> None:
    """A .venv with everything in it, whose Python says how it was called."""
    site = pretend_installed(clone, "click-8.1.7", "pytest_xdist-3.6.1")
    assert site.is_dir()
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text('#!/bin/sh\necho "$PYTHONPATH|$*"\n')
    python.chmod(0o755)
    aiw = load(clone)
    (clone / ".venv" / ".aiw").mkdir()
    for lock in ("requirements.lock", "requirements-dev.lock"):
        aiw.write_mark(lock, {"packages": "1"})


def run(
    clone: Path, *words: str, options: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `aiw` as a program, with nothing on PATH."""
    return subprocess.run(
        [sys.executable, "-S", *options, clone / "aiw", *words],
        env={"PATH": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_parses_on_python_3_8() -> None:
    """Whoever has too old a Python is told so, and not shown a syntax error."""
    ast.parse(AIW.read_text(), feature_version=(3, 8))


def test_it_needs_nothing_but_the_standard_library() -> None:
    """It runs before anything is installed."""
    tree = ast.parse(AIW.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imported <= sys.stdlib_module_names


def test_a_command_costs_no_import_once_all_is_in_place(clone: Path) -> None:
    """`./aiw ls` answers in under 0.3 s: the way to it costs two looks at files."""
    answering_venv(clone)
    done = run(clone, "--data", "up", "ls", "-x", options=("-X", "importtime"))
    assert done.stdout == f"{clone}|-P -m cli --data up ls -x\n"
    for module in ("subprocess", "hashlib", "json", "shutil", "fcntl", "typing", "pathlib"):
        assert not re.search(rf"\| +{module}$", done.stderr, re.MULTILINE), module


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["up"], "up"),
        (["--data", "test", "up"], "up"),
        (["--json", "--lang=ko", "--port", "8001", "test", "--fast"], "test"),
        (["--data"], ""),
        ([], ""),
    ],
)
def test_it_knows_the_command_from_its_options(clone: Path, words: list[str], command: str) -> None:
    """Only `test` and `bench` install more than a user needs."""
    assert load(clone).command_of(words) == command


def test_a_changed_lock_is_noticed_and_a_touched_one_is_not(clone: Path) -> None:
    """Reinstalled only when the lock's hash changed, not whenever git has written the file anew."""
    answering_venv(clone)
    aiw = load(clone)
    lock = clone / "requirements.lock"
    os.utime(lock, ns=(1, 1))
    assert aiw.is_ready("requirements.lock")
    lock.write_text(lock.read_text().replace("8.1.7", "8.1.8"))
    assert not aiw.is_ready("requirements.lock")


def test_a_venv_whose_python_was_replaced_is_not_used(clone: Path) -> None:
    """The distribution moved to the next Python: the packages are still those of the last one."""
    answering_venv(clone)
    python = clone / ".venv" / "bin" / "python"
    python.rename(python.with_name("python3.99"))
    python.symlink_to("python3.98")
    assert not load(clone).is_ready("requirements.lock")


def test_a_whole_venv_is_adopted_and_half_a_package_is_not(clone: Path) -> None:
    """A .venv made by hand is not made again; one whose install was killed is not trusted."""
    site = pretend_installed(clone, "click-8.1.7")
    aiw = load(clone)
    assert aiw.is_complete("requirements.lock")
    assert not aiw.is_complete("requirements-dev.lock")
    (site / "pytest_xdist-3.6.1.dist-info").mkdir()
    assert not aiw.is_complete("requirements-dev.lock")
    (site / "pytest_xdist-3.6.1.dist-info" / "RECORD").touch()
    assert aiw.is_complete("requirements-dev.lock")


def test_without_uv_pip_and_ensurepip_one_line_says_what_to_install(clone: Path) -> None:
    """Debian without python3-venv: `import venv` works, and only ensurepip is missing."""
    shadows = clone / "shadows"
    shadows.mkdir()
    for name in ("ensurepip", "pip"):
        (shadows / f"{name}.py").write_text("raise ImportError")
    done = run(clone, "up", PYTHONPATH=str(shadows))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"aiw: .*Mend: sudo apt install python3-venv\n", done.stderr)


def test_too_old_a_python_is_told_in_one_line(clone: Path) -> None:
    """In the reader's language, with the command that mends it."""
    text = (clone / "aiw").read_text()
    (clone / "aiw").write_text(text.replace("OLDEST = (3, 11)", "OLDEST = (3, 99)"))
    done = run(clone, "up", LANG="ko_KR.UTF-8", PYTHONUTF8="1")
    assert done.returncode == 1
    assert re.fullmatch(r"aiw: Python 3.11 이상이 필요한데 .* python3.12 ./aiw up .*\n", done.stderr)


def test_an_interrupted_install_leaves_no_venv_that_looks_whole(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle, it starts over."""
    pretend_installed(clone, "click-8.1.7")
    marks = clone / ".venv" / ".aiw"
    marks.mkdir()
    (marks / "installing").write_text("requirements.lock")
    aiw = load(clone)
    assert not aiw.is_ready("requirements.lock")

    def make_venv(argv: list[str], python: str) -> None:
        raise aiw.Stop(argv, python)

    monkeypatch.setattr(aiw, "make_venv", make_venv)
    with pytest.raises(aiw.Stop):
        aiw.install(["up"], "requirements.lock")
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("words", "environment", "language"),
    [
        (["--lang", "ko", "up"], {}, "ko"),
        (["--lang=en"], {"LANG": "ko_KR.UTF-8"}, "en"),
        (["up"], {"LANG": "ko_KR.UTF-8"}, "ko"),
        (["up"], {"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, "en"),
        (["up"], {}, "en"),
    ],
)
def test_it_speaks_the_readers_language(
    clone: Path, words: list[str], environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Korean and English from the first message."""
    for name in ("AIW_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load(clone).language(words) == language


def test_it_reads_the_catalogues_as_a_toml_parser_does(clone: Path) -> None:
    """It has no TOML parser on old Pythons, so the files keep to one `"key" = "text"` a line."""
    aiw = load(clone)
    for lang in ("en", "ko"):
        parsed = tomllib.loads((I18N / f"cli_up.{lang}.toml").read_text("utf-8"))
        assert aiw.catalogue(lang) == parsed


def test_both_catalogues_say_the_same_things() -> None:
    """The same keys, and the same values in each sentence."""
    english, korean = (tomllib.loads((I18N / f"cli_up.{lang}.toml").read_text("utf-8")) for lang in ("en", "ko"))
    assert english.keys() == korean.keys()
    for key, text in english.items():
        assert fields(text) == fields(korean[key]), key


def fields(text: str) -> set[str | None]:
    """The names of what a sentence is given."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
