"""`dragoman.client` against the service and a real broker: answers, headers, time-outs, retries, a broken link."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pika
import pytest
from patience import AT_ONCE_SECONDS, PATIENCE_SECONDS
from proxy import Proxy
from service_process import Client as RawClient
from service_process import Service

from dragoman.client import (
    AccessRefused,
    Answer,
    AsyncClient,
    BrokerUnreachable,
    Client,
    NoAnswer,
    PublishRefused,
    QueueMissing,
    Untranslatable,
)

VERSION, ARCHITECTURE = "9.8.7", "0123abcd" * 8


@pytest.fixture
def asking(amqp_url: str, request_queue: str, start: Callable[..., Service]) -> Iterator[Client]:
    """A client of a service that runs."""
    start().ready()
    with Client(amqp_url, request_queue) as each:
        yield each


class Answering:
    """A consumer that answers as it is told, and remembers the requests."""

    def __init__(self, url: str, queue: str, headers: dict[str, Any]) -> None:
        self.requests: list[pika.BasicProperties] = []
        self._headers = headers
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.basic_consume(queue, self._on_request, auto_ack=True)
        self._thread = threading.Thread(target=self._channel.start_consuming)
        self._thread.start()

    def _on_request(self, channel: Any, _: Any, properties: pika.BasicProperties, body: bytes) -> None:
        self.requests.append(properties)
        reply = pika.BasicProperties(correlation_id=properties.correlation_id, headers=self._headers)
        channel.basic_publish("", properties.reply_to, body, reply)

    def end(self) -> None:
        """Stops consuming."""
        self._connection.add_callback_threadsafe(self._channel.stop_consuming)
        self._thread.join()
        self._connection.close()


@pytest.fixture
def answering(amqp_url: str, request_queue: str, client: RawClient) -> Iterator[Callable[..., Answering]]:
    """Makes one."""
    client.channel.queue_declare(request_queue)
    made: list[Answering] = []

    def answering(**headers: Any) -> Answering:
        made.append(Answering(amqp_url, request_queue, {name.replace("_", "-"): v for name, v in headers.items()}))
        return made[-1]

    yield answering
    for each in made:
        each.end()


def test_a_text_is_translated_and_the_answer_says_who_did_it(asking: Client) -> None:
    assert asking.translate("Je vais dormir.") == "JE VAIS DORMIR."
    assert asking.ask("Où ?") == Answer("OÙ ?", VERSION, ARCHITECTURE)


def test_what_cannot_be_translated_is_raised_by_translate_and_returned_by_ask(asking: Client) -> None:
    with pytest.raises(Untranslatable) as error:
        asking.translate("")
    assert error.value.reason == "empty"
    assert error.value.answer == asking.ask("")
    assert error.value.answer.version == VERSION


def test_many_texts_come_back_in_order_and_are_read_no_further_than_the_window(asking: Client) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for number in range(500):
            read += 1
            yield f"numéro {number}"

    answers = asking.ask_all(texts(), window=20)
    assert next(answers).text == "NUMÉRO 0"
    assert read == 20
    assert [answer.text for answer in answers] == [f"NUMÉRO {number}" for number in range(1, 500)]


def test_many_threads_share_one_client(asking: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(asking.translate, [f"fil {number}" for number in range(200)]))
    assert answers == [f"FIL {number}" for number in range(200)]


def test_many_tasks_share_one_asynchronous_client(asking: Client, amqp_url: str, request_queue: str) -> None:
    async def asked() -> tuple[list[str], list[str]]:
        async with AsyncClient(amqp_url, request_queue) as client:
            together = await asyncio.gather(*(client.translate(f"tâche {number}") for number in range(100)))
            one_by_one = [answer.text async for answer in client.ask_all(["un", "deux", "trois"], window=2)]
        return together, one_by_one

    together, in_order = asyncio.run(asked())
    assert together == [f"TÂCHE {number}" for number in range(100)]
    assert in_order == ["UN", "DEUX", "TROIS"]


def test_every_header_of_a_reply_is_in_the_answer(
    answering: Callable[..., Answering], amqp_url: str, request_queue: str
) -> None:
    answering(x_model_version="2.0.0", x_architecture="abc", x_error="unsure", x_corrected="Où", x_score="0.93")
    with Client(amqp_url, request_queue) as client:
        assert client.ask("Ou") == Answer("Ou", "2.0.0", "abc", "unsure", "Où", 0.93)


def test_a_request_says_until_when_somebody_waits_for_it(
    answering: Callable[..., Answering], amqp_url: str, request_queue: str
) -> None:
    service = answering()
    before = time.time() * 1000
    with Client(amqp_url, request_queue, timeout_seconds=7) as client:
        client.ask("Bonjour.")
        client.ask("Bonjour.", timeout_seconds=60)
    after = time.time() * 1000
    first, second = (request.headers["x-deadline"] for request in service.requests)
    assert before + 7_000 - 1 <= first <= after + 7_000 + 1
    assert before + 60_000 - 1 <= second <= after + 60_000 + 1


def test_a_queue_that_nobody_consumes_from_is_named_when_the_time_is_up(
    amqp_url: str, request_queue: str, client: RawClient
) -> None:
    client.channel.queue_declare(request_queue)
    began = time.monotonic()
    with Client(amqp_url, request_queue) as asking, pytest.raises(NoAnswer, match="no service consumes"):
        asking.ask("Bonjour.", timeout_seconds=0.5)
    assert time.monotonic() - began < AT_ONCE_SECONDS


def test_a_service_that_is_slow_is_not_called_missing(asking: Client) -> None:
    with pytest.raises(NoAnswer, match="it is consumed from, too slowly"):
        asking.ask("wait 2", timeout_seconds=0.5)
    assert asking.translate("encore") == "ENCORE"  # and the late answer was nobody's


def test_a_queue_that_is_not_there_is_said_at_once(amqp_url: str, request_queue: str) -> None:
    with Client(amqp_url, request_queue) as asking, pytest.raises(QueueMissing, match="has no queue"):
        asking.ask("Bonjour.")


def test_a_queue_that_is_full_is_tried_again_and_then_said(
    amqp_url: str, request_queue: str, client: RawClient
) -> None:
    client.channel.queue_declare(request_queue, arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
    with Client(amqp_url, request_queue, retries=1) as asking, pytest.raises(PublishRefused, match="no more messages"):
        asking.ask("Bonjour.")


def test_a_wrong_password_is_said_at_once(amqp_url: str, through: Callable[[int], str]) -> None:
    url = amqp_url.replace("://", "://nobody").replace("@", "secret@")
    began = time.monotonic()
    with Client(url) as asking, pytest.raises(AccessRefused) as error:
        asking.ask("Bonjour.")
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_connection_that_breaks_under_way_is_made_again_and_every_text_answered(
    how: str,
    asking: Client,  # for its service
    proxy: Proxy,
    through: Callable[[int], str],
    request_queue: str,
) -> None:
    with Client(through(proxy.port), request_queue) as client:
        assert client.translate("avant") == "AVANT"
        with ThreadPoolExecutor(10) as threads:
            waiting = [threads.submit(client.translate, text) for text in ["wait 1", *map(str, range(9))]]
            time.sleep(0.3)
            getattr(proxy, how)()
            assert [each.result() for each in waiting] == ["WAIT 1", *map(str, range(9))]
        assert client.translate("après") == "APRÈS"


def test_without_retries_a_broken_connection_is_an_error_and_the_next_request_connects_again(
    asking: Client, proxy: Proxy, through: Callable[[int], str], request_queue: str
) -> None:
    with Client(through(proxy.port), request_queue, retries=0) as client:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(client.translate, "wait 1")
            time.sleep(0.5)
            proxy.cut()
            with pytest.raises(BrokerUnreachable):
                waiting.result()
        assert client.translate("encore") == "ENCORE"


def test_of_several_nodes_the_first_that_answers_is_asked(asking: Client, amqp_url: str, request_queue: str) -> None:
    with Client(f"amqp://127.0.0.1:1/%2F {amqp_url}", request_queue) as client:
        assert client.translate("noeud") == "NOEUD"


def test_an_idle_client_stays_connected(asking: Client, amqp_url: str, request_queue: str) -> None:
    separator = "&" if "?" in amqp_url else "?"
    with Client(f"{amqp_url}{separator}heartbeat=1", request_queue, retries=0) as client:
        client.translate("un")
        time.sleep(4)  # the broker closes a connection that is silent for twice its heartbeat
        assert client.translate("deux") == "DEUX"


def test_closing_ends_the_waiting_of_other_threads(asking: Client, amqp_url: str, request_queue: str) -> None:
    client = Client(amqp_url, request_queue)
    client.translate("un")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.ask, "wait 5")
        time.sleep(0.3)
        client.close()
        with pytest.raises(BrokerUnreachable):
            waiting.result(timeout=PATIENCE_SECONDS)
