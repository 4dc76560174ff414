"""The machine and the versions that a table was measured with."""

import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.benchmarks.wire import Wire

_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def facts(url: str) -> dict[str, str]:
    """What a reader must know to compare."""
    server = Wire(url).server
    model, flags = _processor()
    broker, erlang = (_text(server[name]) for name in ("version", "platform"))
    return {
        "Processor": f"{model} ({', '.join(name for name in _INSTRUCTIONS if name in flags)})",
        "Cores": f"{psutil.cpu_count()}, shared by broker, load and consumer",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "Kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "Broker": f"RabbitMQ {broker} on {erlang}",
        "Python": f"{platform.python_version()} with pika {version('pika')} and torch {version('torch')}",
    }


def _processor() -> tuple[str, set[str]]:
    """The processor's name, and the instructions it knows."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return fields.get("model name", platform.machine()), set(fields.get("flags", "").split())


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
