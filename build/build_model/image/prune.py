"""Make installed wheels as small as inference allows, and the same, byte for byte, on every build.

Runs in the Dockerfile's builder stage (`python3 prune.py /out`), so it needs nothing but Python's standard library.
"""

import os
import py_compile
import shutil
import struct
import sys
import sysconfig
from importlib.util import cache_from_source
from pathlib import Path

SITE_PACKAGES = Path("opt/site-packages")

UNUSED = (
    "bin",  # console scripts
    "pip",
    "pip-*",
    "**/*.pyi",
    "torch/include",
    "torch/share",
    "torch/test",
    "torch/lib/*test*",
    "torch/lib/libaoti_custom_ops.so",
    "torch/lib/libbackend_with_compiler.so",
    "torch/lib/libshm_windows",
    # The compiler behind torch.compile and the exporters: they need sympy or onnx, which aren't installed.
    "torch/_dynamo",
    "torch/_inductor",
    "torch/onnx",
    "torchgen/packaged",
)
UNUSED_BUT = {"torch/bin": {"torch_shm_manager"}}
"""Folders of which only these files are used: `import torch` fails without the path of torch_shm_manager."""

EMPTIED = ("torch/_meta_registrations.py",)
"""Imported by `import torch` and never used: what operators do on the meta device, a third of the import's time."""

STDLIB_UNUSED = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "tkinter",
        "turtledemo",
    }
)


def prune(site_packages: Path) -> None:
    """Remove what inference never opens."""
    for pattern in UNUSED:
        for path in list(site_packages.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder, used in UNUSED_BUT.items():
        for path in list((site_packages / folder).iterdir()):
            if path.name not in used:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in EMPTIED:
        with (site_packages / name).open("r+") as file:  # which must be there: another release may have moved it
            file.truncate()


def strip(library: Path) -> None:
    """Cut symbol tables and section headers off a shared library: a fifth of libtorch_cpu.so, and no loader reads them.

    What is loaded is what the program headers name, so the file may end where the last segment does (elf(5)). Debian
    slim has no `strip`.
    """
    with library.open("r+b") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":  # 64 bits, little-endian
            return
        (table,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(table)
        segments = file.read(size * count)
        end = table + size * count
        for index in range(count):
            # p_offset and p_filesz of an Elf64_Phdr
            offset, length = struct.unpack_from("<Q16xQ", segments, index * size + 8)
            end = max(end, offset + length)
        file.seek(40)
        file.write(bytes(8))  # e_shoff
        file.seek(60)
        file.write(bytes(4))  # e_shnum, e_shstrndx
        file.truncate(end)


def compile_to(out: Path, source: Path, installed: Path) -> None:
    """Compile ``source``, which the image has as ``installed``, below ``out``; what can't be compiled is skipped.

    Unchecked-hash files are loaded without a look at the source, whose time a layer doesn't keep.
    """
    compiled = out / cache_from_source(str(installed)).lstrip("/")
    compiled.parent.mkdir(parents=True, exist_ok=True)
    try:
        py_compile.compile(
            str(source),
            cfile=str(compiled),
            dfile=str(installed),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError as error:  # a template, or for another Python; nothing that is imported
        print(f"not compiled: {error}")


def compile_all(out: Path) -> None:
    """Compile the wheels and Python's own library, which slim images ship uncompiled."""
    for source in sorted((out / SITE_PACKAGES).rglob("*.py")):
        compile_to(out, source, Path("/") / source.relative_to(out))
    library = Path(sysconfig.get_path("stdlib"))
    for source in sorted(library.rglob("*.py")):
        if not STDLIB_UNUSED.intersection(source.relative_to(library).parts):
            compile_to(out, source, source)


def forget_times(out: Path) -> None:
    """Set every time to 0: a layer's digest covers them."""
    for path in (*out.rglob("*"), out):
        os.utime(path, (0, 0), follow_symlinks=False)


def main() -> None:
    """Prune, strip and compile the tree given on the command line."""
    out = Path(sys.argv[1])
    prune(out / SITE_PACKAGES)
    for library in (out / SITE_PACKAGES).rglob("*.so*"):
        strip(library)
    compile_all(out)
    forget_times(out)


if __name__ == "__main__":
    main()
