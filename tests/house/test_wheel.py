"""The built wheel works where it is installed, whatever lies in the folder it is called from."""

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

METADATA = ("pyproject.toml", "README.md", "LICENSE")


def run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, without import settings of the one who runs the tests."""
    ours = {"PYTHONPATH", "PYTHONSAFEPATH"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False
    )


def succeed(command: Sequence[str | Path], folder: Path) -> str:
    ended = run(command, folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(
    product: Mapping[Path, ast.Module], root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The wheel of a copy of the sources, since a build reuses what an earlier one left behind."""
    source = tmp_path_factory.mktemp("source")
    for name in METADATA:
        shutil.copy(root / name, source / name)
    for floor in sorted({file.parts[0] for file in product}):
        if (root / floor).is_dir():
            shutil.copytree(
                root / floor, source / floor, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(root / floor, source / floor)
    succeed([sys.executable, "-m", "build", "--wheel", "--no-isolation"], source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script folder of a fresh environment with the wheel, and with this one's dependencies."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True, with_pip=False)
    python = home / "bin" / "python"
    installer = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    succeed([*installer, "--no-deps", "--no-index", str(wheel)], home)
    site = sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)})
    # A folder named in a .pth file comes after the environment's own, and its own .pth files,
    # such as the one of an editable install, are not read.
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(site, "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n", encoding="utf-8")
    return python.parent


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with a stranger's package that is named as one of ours and must not load."""
    package = tmp_path / "search"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('a stranger')\n", encoding="utf-8")
    return tmp_path


def test_the_wheel_holds_every_product_file_and_nothing_else(
    wheel: Path, product: Mapping[Path, ast.Module], root: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    floors = {file.parts[0] for file in product if len(file.parts) > 1}
    data = {
        str(file.relative_to(root))
        for floor in floors
        for file in (root / floor).rglob("*.*")
        if file.suffix not in (".py", ".pyc")
    }
    assert {name for name in names if name.endswith(".py")} == {str(file) for file in product}
    assert {name for name in names if not name.endswith(".py")} == data
    assert {"eval/expected/scifact.yaml", "eval/report/report.html.jinja"} <= data
    assert {name.split("/")[0] for name in names} == {file.parts[0] for file in product}


def test_the_trap_is_set(scripts: Path, trap: Path) -> None:
    assert run([scripts / "python", "-c", "import search"], trap).stderr == "a stranger\n"


def test_the_installed_command_shows_its_help(scripts: Path, trap: Path) -> None:
    help_text = succeed([scripts / "cloze", "--help"], trap)
    assert "search" in help_text and "doctor" in help_text


def test_the_installed_command_passes_its_own_check(scripts: Path, trap: Path) -> None:
    assert json.loads(succeed([scripts / "cloze", "doctor", "--json"], trap))


def test_the_installed_command_knows_the_published_figures(scripts: Path, trap: Path) -> None:
    assert "scifact" in succeed([scripts / "cloze", "reproduce", "--list"], trap)


def test_the_installed_package_brings_its_models(scripts: Path, trap: Path) -> None:
    program = (
        "from indexer.models import find_model; print(find_model('cloze/bert-mini-en').folder)"
    )
    found = Path(succeed([scripts / "python", "-P", "-c", program], trap).strip())
    assert found.is_relative_to(scripts.parent)
    assert (found / "model.safetensors").stat().st_size > 2**20


def test_the_installed_floors_are_imported_from_the_wheel(scripts: Path, trap: Path) -> None:
    program = scripts / "where"
    program.write_text("import search\nprint(search.__file__)\n", encoding="utf-8")
    found = Path(succeed([scripts / "python", program], trap).strip())
    assert found.is_relative_to(scripts.parent)
