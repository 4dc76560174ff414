"""The script of the builder stage: what goes, and that what stays still works."""

import ctypes
import marshal
import shutil
import struct
import sysconfig
from pathlib import Path

import pytest

from build_model.image import prune


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    folder = tmp_path / "opt" / "site-packages"
    for name in (
        "bin/tokenize",
        "pip/__init__.py",
        "pip-26.3.dist-info/METADATA",
        "pika/__init__.py",
        "torch/__init__.py",
        "torch/_C/__init__.pyi",
        "torch/_dynamo/__init__.py",
        "torch/_meta_registrations.py",
        "torch/bin/protoc",
        "torch/bin/torch_shm_manager",
        "torch/include/ATen/ATen.h",
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libtorchbind_test.so",
        "torch/test/test_torch.py",
        "torch-2.13.0+cpu.dist-info/licenses/LICENSE",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1")
    return folder


def test_only_what_inference_opens_is_left(site_packages: Path) -> None:
    prune.prune(site_packages)
    left = {str(path.relative_to(site_packages)) for path in site_packages.rglob("*") if path.is_file()}
    assert left == {
        "pika/__init__.py",
        "torch/__init__.py",
        "torch/_meta_registrations.py",
        "torch/bin/torch_shm_manager",
        "torch/lib/libtorch_cpu.so",
        "torch-2.13.0+cpu.dist-info/licenses/LICENSE",
    }
    assert [path.name for path in site_packages.rglob("*.py") if not path.read_text()] == ["_meta_registrations.py"]


def test_a_stripped_library_is_smaller_and_loads(tmp_path: Path) -> None:
    original = Path(sysconfig.get_paths()["purelib"]) / "torch" / "lib" / "libc10.so"
    library = tmp_path / original.name
    shutil.copy(original, library)
    prune.strip(library)
    assert library.stat().st_size < original.stat().st_size
    ctypes.CDLL(str(library))
    prune.strip(library)  # once more changes nothing
    ctypes.CDLL(str(library))


def test_what_is_no_library_is_left_as_it_is(tmp_path: Path) -> None:
    script = tmp_path / "libfake.so"
    script.write_text("INPUT ( libreal.so )")
    prune.strip(script)
    assert script.read_text() == "INPUT ( libreal.so )"


def test_compiled_files_name_the_installed_source_and_never_ask_for_its_time(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("answer = 42\n")
    prune.compile_to(tmp_path / "out", source, Path("/opt/site-packages/module.py"))
    (compiled,) = (tmp_path / "out/opt/site-packages/__pycache__").iterdir()
    content = compiled.read_bytes()
    assert struct.unpack_from("<I", content, 4) == (0b01,)  # PEP 552: by hash, not checked
    assert marshal.loads(content[16:]).co_filename == "/opt/site-packages/module.py"


def test_a_template_that_is_no_python_does_not_stop_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "template.py"
    source.write_text("def {{ name }}():\n")
    prune.compile_to(tmp_path / "out", source, Path("/template.py"))
    assert "not compiled" in capsys.readouterr().out


def test_no_time_is_left_behind(site_packages: Path, tmp_path: Path) -> None:
    (site_packages / "pika" / "link").symlink_to("__init__.py")
    prune.forget_times(tmp_path)
    assert {path.lstat().st_mtime for path in (tmp_path, *tmp_path.rglob("*"))} == {0}
