"""Whose fault it is when a network's folder raises."""

from pathlib import Path
from typing import Any

from model.errors import NetworkInvalid


class blamed:  # noqa: N801 (read as a word: with _blamed(…))
    """An exception in the folder's code becomes one sentence that says what was called."""

    def __init__(self, called: str) -> None:
        self.called = called

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, NetworkInvalid) or not isinstance(error, Exception):
            return
        place = ""
        while trace is not None:
            name = Path(trace.tb_frame.f_code.co_filename)
            if "site-packages" not in name.parts and Path(__file__).parent not in name.parents:
                place = f", at {name.parent.name}/{name.name}, line {trace.tb_lineno}"
            trace = trace.tb_next
        raise NetworkInvalid(
            f"{self.called} raises {type(error).__name__}: {error}{place}. model/contract.py says what it is given."
        ) from error
