"""`python -m service`: verify, load, self-test, then connect and serve. Exit codes are those of sysexits.h.

python -m service                       serve until SIGTERM or SIGINT
python -m service self-test             verify, load and translate the goldens; opens no connection
python -m service health [ready|live]   for probes; imports no model
python -m service tally                 what it answered since it started, as JSON
"""

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

# The rest is imported where it is needed: a probe runs every few seconds, and signals are handled before torch loads.
if TYPE_CHECKING:
    from model.translator import Translator
    from service.settings import Settings

EXIT_USAGE, EXIT_BUG = 64, 70
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Whether the process was asked to stop. A handler may do no more than set a flag and wake the loop: whatever takes
    a lock could be waiting for the very code that the signal interrupted.

    Attributes:
        file: a file descriptor that becomes readable with the first signal.
    """

    def __init__(self) -> None:
        self.asked = False
        reading, self._writing = socket.socketpair()
        reading.setblocking(False)
        self._writing.setblocking(False)
        self._reading = reading
        self.file = reading.fileno()
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        if not self.asked:
            self.asked = True
            self._writing.send(b"!")


def main(arguments: list[str]) -> int:
    """Runs a command; the exit code."""
    match arguments:
        case []:
            stop = Stop()  # first of all: loading takes a second or two
            return _reporting(lambda settings: serve(settings, stop))
        case ["self-test"]:
            return _reporting(self_test)
        case ["health"]:
            return health("ready")
        case ["health", "ready" | "live" as kind]:
            return health(kind)
        case ["tally"]:
            return tally()
    print(__doc__, file=sys.stderr)
    return EXIT_USAGE


def health(kind: str) -> int:
    """Prints whether the service in this container is ``ready`` or ``live``; 0 if so, else 1."""
    from service.health import probe  # noqa: PLC0415

    well, line = probe(kind)
    print(line)
    return 0 if well else 1


def tally() -> int:
    """Prints what the service in this container answered; 1 where none runs."""
    from service import health  # noqa: PLC0415

    try:
        print(health.tally())
    except OSError as error:
        print(f"no service has run here: {error}")
        return 1
    return 0


def self_test(settings: "Settings") -> int:
    """Prints which model holds; its errors are raised."""
    translator = _load(settings)
    print(
        f"self-test passed: version {translator.version}, architecture {translator.architecture}, "
        f"path {translator.path}, {translator.sentences_per_second:g} sentences/s"
    )
    return 0


def serve(settings: "Settings", stop: Stop) -> int:
    """Serves until it is over; the exit code."""
    from service import log  # noqa: PLC0415
    from service.connection import endpoints, guard_decoder  # noqa: PLC0415
    from service.consumer import Consumer  # noqa: PLC0415
    from service.health import Vitals  # noqa: PLC0415
    from service.metrics import NoMetrics, Prometheus  # noqa: PLC0415
    from service.settings import SettingsError  # noqa: PLC0415

    endpoints(settings, "")  # a bad URL is refused before anything is loaded
    try:
        vitals = Vitals()
    except OSError as error:
        raise SettingsError(f"TMPDIR: {error}. Mount a tmpfs there, for the heartbeat files.") from None
    translator = _load(settings)
    speed = translator.sentences_per_second
    log.info(
        "loaded",
        version=translator.version,
        architecture=translator.architecture,
        path=translator.path,
        sentences_per_second=speed,
    )
    vitals.tally.loaded(translator.path, speed)
    if stop.asked:
        return 0
    guard_decoder()
    identity = {"version": translator.version, "architecture": translator.architecture}
    return Consumer(
        settings,
        translate=translator.translate,
        **identity,
        example=translator.example,
        vitals=vitals,
        metrics=Prometheus(settings.metrics_port, **identity, source=translator.source, target=translator.target)
        if settings.metrics_port
        else NoMetrics(),
        stop_file=stop.file,
    ).run()


def _load(settings: "Settings") -> "Translator":
    """The model beside the code that is running, verified and tested.

    Raises:
        GuardError: something about it doesn't hold.
        SettingsError: ``MIN_SCORE`` asks for scores that it hasn't.
    """
    import model  # noqa: PLC0415
    from model.translator import Translator  # noqa: PLC0415 - torch
    from service.settings import SettingsError  # noqa: PLC0415

    translator = Translator.load(Path(model.__file__).parent / "checkpoint", threads=1)
    if settings.min_score and not translator.scores:
        raise SettingsError(
            f"MIN_SCORE is {settings.min_score:g}, and this model gives its translations no score: it was trained "
            "without a dev set. Unset MIN_SCORE, or train it with --dev."
        )
    translator.self_test()
    return translator


def _reporting(command: Callable[["Settings"], int]) -> int:
    """Runs a command with the settings of the environment; an expected failure is one line and an exit code."""
    from model.errors import DragomanError  # noqa: PLC0415
    from service import log  # noqa: PLC0415
    from service.settings import Settings  # noqa: PLC0415

    log.configure("text" if os.environ.get("LOG_FORMAT") == "text" else "json")  # a refused setting is reported too
    try:
        settings = Settings.read(os.environ)
        log.configure(settings.log_format)
        return command(settings)
    except DragomanError as error:
        log.error(str(error), exit_code=error.exit_code)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: what nobody expected is logged with its traceback
        log.error("a bug ended the service", bug=error, exit_code=EXIT_BUG)
        return EXIT_BUG


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stdout.flush()
    # Nothing is left to clean up, and a batch that hangs in the inference thread must not keep the process.
    os._exit(exit_code)
