"""Make the base and the installed wheels as small as inference allows, and the same, byte for byte, on every build.

Runs in the Dockerfile's builder stage (`python3 prune.py /base /out`), so it needs nothing but Python's standard
library. ``/base`` becomes what is used of the stage's own root, Debian with Python: no package manager, no Perl, no
tools but a shell and the least beside it. ``/out`` has the wheels.
"""

import mmap
import os
import py_compile
import shutil
import struct
import sys
import sysconfig
from importlib.util import cache_from_source
from pathlib import Path

ELF = b"\x7fELF\x02\x01"  # 64 bits, little-endian
PT_LOAD, PT_DYNAMIC, DT_NEEDED, DT_STRTAB = 1, 2, 1, 5
SITE_PACKAGES = Path("opt/site-packages")
APPLICATION = Path("opt/dragoman")

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
    "torch/utils/_sympy",
    "torch/fx/experimental/symbolic_shapes.py",
    # Training on several machines, other ways to hold numbers, exporting, and torch's own tests and tools: what
    # translates imports none of it. The image's self-test and its smoke test are the proof.
    *(
        f"torch/distributed/{name}"
        for name in ("_composable", "_local_tensor", "_shard", "_symmetric_memory", "_tools", "checkpoint", "debug")
    ),
    *(f"torch/distributed/{name}" for name in ("elastic", "flight_recorder", "fsdp", "nn", "optim", "pipelining")),
    "torch/distributed/run.py",
    "torch/distributed/tensor",
    "torch/distributed/algorithms/ddp_comm_hooks",
    "torch/_decomp",
    "torch/_export/converter.py",
    "torch/_export/db",
    "torch/_export/passes",
    "torch/_export/serde",
    "torch/_functorch/_activation_*",
    "torch/_functorch/aot_autograd.py",
    "torch/_functorch/partitioners.py",
    "torch/_numpy",
    "torch/_prims",
    "torch/_refs",
    "torch/ao/ns",
    "torch/ao/pruning",
    "torch/ao/quantization/backend_config",
    "torch/ao/quantization/fx",
    "torch/backends/_nnapi",
    "torch/backends/xeon",
    "torch/fx/experimental/*gradual*",
    "torch/fx/experimental/accelerator_partitioner.py",
    "torch/sparse/_triton_ops*.py",
    "torch/utils/benchmark",
    "torch/utils/cpp_extension.py",
    "torch/utils/hipify",
    "torch/utils/tensorboard",
    "functorch",
    "torchgen/api",
    "torchgen/dest",
    "torchgen/gen*.py",
    "torchgen/native_function_generation.py",
    "torchgen/packaged",
    "torchgen/static_runtime",
)
UNUSED_BUT = {
    "torch/bin": {"torch_shm_manager"},  # `import torch` fails without its path
    "torch/_functorch/_aot_autograd": {"__init__.py", "utils.py"},
    "torch/_vendor": {"__init__.py", "packaging"},
    "torch/testing/_internal": {"__init__.py", "logging_tensor.py"},
}
"""Folders of which only these files are used."""

EMPTIED = ("torch/_meta_registrations.py",)
"""Imported by `import torch` and never used: what operators do on the meta device, a third of the import's time."""

STDLIB_UNUSED = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "dbm",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "sqlite3",
        "test",
        "tkinter",
        "turtledemo",
    }
)


BASE_USED = (
    *("bin", "lib", "lib64", "sbin"),  # which are links into usr
    "etc",
    *(f"usr/bin/{name}" for name in ("cat", "dash", "date", "env", "id", "ls", "sh", "sleep", "true", "uname")),
    *("usr/bin/python3*", "usr/local/bin/python*"),  # Debian's, or the official image's
    *("usr/lib/locale/C*", "usr/lib/os-release", "usr/lib/python3*", "usr/lib/ssl", "usr/local/lib/python3*"),
    *("usr/share/ca-certificates", "usr/share/common-licenses", "usr/share/doc/*/copyright", "usr/share/zoneinfo"),
    "var/lib/dpkg/status",  # which packages these files are of
)
"""What is used of the base beside the libraries that these and the wheels need."""
ETC_UNUSED = frozenset(
    {"apt", "cron.d", "cron.daily", "default", "dpkg", "init.d", "kernel", "ld.so.cache", "logrotate.d", "pam.conf"}
    | {"pam.d", "perl", "rc0.d", "rc1.d", "rc2.d", "rc3.d", "rc4.d", "rc5.d", "rc6.d", "rcS.d", "security", "selinux"}
    | {"skel", "systemd", "terminfo"}
)
EXTENSIONS_UNUSED = ("_dbm.", "_gdbm.", "_sqlite3.", "nis.")
"""Modules of Python's that want libraries of their own: databases, and a directory service of the nineties."""
FOLDERS = ("dev", "home", "mnt", "opt", "proc", "root", "run", "sys", "tmp", "usr/lib64", "usr/sbin", "var/tmp")
"""That are there though nothing is in them: something may be mounted on them, or a link leads there."""
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/local/lib")
LOADED_BY_NAME = frozenset({"ld-linux-x86-64.so.2", "libgcc_s.so.1"})
"""Libraries that no other names: the loader, and what glibc opens when a thread ends."""


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
        if header[: len(ELF)] != ELF:
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


def is_binary(path: Path) -> bool:
    """Whether it is an ELF file, for 64 bits and little-endian."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(ELF)) == ELF


def needed(binary: Path) -> set[str]:
    """The names of the shared libraries that a program or library asks the loader for (its DT_NEEDED, elf(5))."""
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        (table,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        # p_type, p_offset, p_vaddr and p_filesz of each Elf64_Phdr
        segments = [struct.unpack_from("<I4xQQ8xQ", content, table + index * size) for index in range(count)]
        dynamic = [content[at : at + length] for kind, at, _, length in segments if kind == PT_DYNAMIC]
        entries = [entry for part in dynamic for entry in struct.iter_unpack("<QQ", part)]
        names: list[int] = [value for tag, value in entries if tag == DT_NEEDED]
        for address in (value for tag, value in entries if tag == DT_STRTAB):
            for kind, at, start, length in segments:
                if kind == PT_LOAD and start <= address < start + length:
                    strings = at + address - start
                    return {content[strings + name : content.find(b"\0", strings + name)].decode() for name in names}
    return set()


def libraries(root: Path, users: list[Path]) -> set[Path]:
    """The shared libraries below ``root`` that ``users`` need, directly or by way of others; links with their ends."""
    there: dict[str, list[Path]] = {}
    for folder in LIBRARIES:
        for path in sorted((root / folder).glob("*.so*")):
            there.setdefault(path.name, []).append(path)
    wanted = {name for user in users for name in needed(user)} | LOADED_BY_NAME
    found: set[Path] = set()
    while wanted:
        for path in set(there.get(wanted.pop(), ())) - found:
            found.add(path)
            wanted |= {path.readlink().name} if path.is_symlink() else needed(path)
    return found


def copy_base(root: Path, base: Path, out: Path) -> None:
    """Copy what is used of ``root`` into ``base``; ``out`` has the wheels, whose libraries need some of it."""
    unused = {*STDLIB_UNUSED, *ETC_UNUSED}

    def ignored(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name in unused or name.startswith(EXTENSIONS_UNUSED)}

    def copy(path: Path) -> None:
        target = base / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target, symlinks=True, ignore=ignored)
        else:
            shutil.copy2(path, target, follow_symlinks=False)

    for pattern in BASE_USED:
        for path in sorted(root.glob(pattern)):
            copy(path)
    for path in libraries(root, [path for tree in (base, out) for path in tree.rglob("*") if is_binary(path)]):
        copy(path)
    for name in FOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (base / name).chmod(0o1777)


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
    """Fill the first tree given on the command line from this root; prune, strip and compile the second one."""
    base, out = map(Path, sys.argv[1:])
    prune(out / SITE_PACKAGES)
    for library in (out / SITE_PACKAGES).rglob("*.so*"):
        strip(library)
    compile_all(out)
    copy_base(Path("/"), base, out)
    (out / APPLICATION).mkdir()  # where a container starts
    for tree in (base, out):
        forget_times(tree)


if __name__ == "__main__":
    main()
