"""Where tests deploy to, and a client that goes on asking meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from images import BuildModel, Ran, Urls

from build_model.operation.rpc import Broker
from dragoman.client import Answer

SENTENCE = "Elle est contente."


@dataclass(frozen=True)
class Place:
    """A deployment of these tests: its name is its queue's, too."""

    name: str
    registry: str
    repository: str
    urls: Urls
    build_model: BuildModel

    def deploying(self, version: str, *arguments: str, repository: str = "") -> tuple[str, ...]:
        """The command line that deploys ``version`` here."""
        where = ("--registry", self.registry, "--repository", repository or self.repository, "--name", self.name)
        broker = ("--amqp-url", self.urls.container, "--client-amqp-url", self.urls.client)
        return ("deploy", version, *where, *broker, "--env", f"RPC_QUEUE={self.name}", *arguments)

    def deploy(self, version: str, *arguments: str, repository: str = "") -> Ran:
        """`build-model deploy` to this place."""
        observe = () if "--observe" in arguments else ("--observe", "1")
        return self.build_model(*self.deploying(version, *observe, *arguments, repository=repository), "--json")

    def command(self, name: str, *arguments: str) -> Ran:
        """Any other command about this place."""
        return self.build_model(name, *arguments, "--name", self.name, "--json")

    def versions(self) -> list[str]:
        """The version of each replica that runs."""
        return [replica["version"] for replica in self.command("status").object["replicas"]]

    def ask(self, *texts: str) -> list[Answer]:
        """Translations over the queue."""
        with Broker(self.urls.client) as broker:
            return broker.ask(self.name, list(texts), 60)


@contextmanager
def asking(place: Place, text: str = SENTENCE) -> Iterator[list[Answer]]:
    """Asks one question after the other while the block runs; the answers so far. One without answer is an error."""
    answers: list[Answer] = []
    failures: list[Exception] = []
    done = threading.Event()

    def ask() -> None:
        try:
            with Broker(place.urls.client) as broker:
                while not done.wait(0.1):
                    answers.extend(broker.ask(place.name, [text], 60))
        except Exception as error:  # noqa: BLE001 (raised again in the test's own thread)
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]
