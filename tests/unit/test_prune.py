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
        "torch/_functorch/_aot_autograd/schemas.py",
        "torch/_functorch/_aot_autograd/utils.py",
        "torch/_vendor/packaging/version.py",
        "torch/_vendor/quack/kernels.py",
        "torch/distributed/fsdp/__init__.py",
        "torch/testing/_internal/common_utils.py",
        "torch/testing/_internal/logging_tensor.py",
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
        "torch/_functorch/_aot_autograd/utils.py",
        "torch/_meta_registrations.py",
        "torch/_vendor/packaging/version.py",
        "torch/bin/torch_shm_manager",
        "torch/lib/libtorch_cpu.so",
        "torch/testing/_internal/logging_tensor.py",
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


def test_of_the_base_only_what_is_used_is_copied(tmp_path: Path) -> None:
    root, base, out = tmp_path / "root", tmp_path / "base", tmp_path / "out"
    for name in (
        "etc/passwd",
        "etc/apt/sources.list",
        "usr/bin/dash",
        "usr/bin/perl",
        "usr/lib/x86_64-linux-gnu/libperl.so.5",
        "usr/lib/python3.11/os.py",
        "usr/lib/python3.11/idlelib/editor.py",
        "usr/share/doc/perl/copyright",
        "usr/share/doc/perl/changelog.gz",
        "var/lib/dpkg/status",
        "var/lib/dpkg/info/perl.list",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    out.mkdir()
    prune.copy_base(root, base, out)
    assert {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()} == {
        "etc/passwd",
        "usr/bin/dash",
        "usr/lib/python3.11/os.py",
        "usr/share/doc/perl/copyright",
        "var/lib/dpkg/status",
    }
    assert (base / "tmp").stat().st_mode & 0o7777 == 0o1777


def test_the_libraries_of_a_program_are_found_by_name_and_by_way_of_others(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/x86_64-linux-gnu"
    folder.mkdir(parents=True)
    torch = Path(sysconfig.get_paths()["purelib"]) / "torch" / "lib"
    names = prune.needed(torch / "libtorch.so")
    assert "libtorch_cpu.so" in names
    shutil.copy(torch / "libc10.so", folder / "libtorch_cpu.so.1")
    (folder / "libtorch_cpu.so").symlink_to("libtorch_cpu.so.1")
    by_way = next(iter(prune.needed(torch / "libc10.so")))
    for name in (by_way, "libunused.so"):
        shutil.copy(torch / "libc10.so", folder / name)
    found = {path.name for path in prune.libraries(tmp_path, [torch / "libtorch.so"])}
    assert found == {"libtorch_cpu.so", "libtorch_cpu.so.1", by_way}


def test_no_time_is_left_behind(site_packages: Path, tmp_path: Path) -> None:
    (site_packages / "pika" / "link").symlink_to("__init__.py")
    prune.forget_times(tmp_path)
    assert {path.lstat().st_mtime for path in (tmp_path, *tmp_path.rglob("*"))} == {0}
