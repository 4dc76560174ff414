"""The client, as far as it goes without a broker: what it refuses, what it reads in a reply, what it imports."""

import decimal
import multiprocessing
import socket
import subprocess
import sys
from pathlib import Path

import certifi
import pytest

from dragoman.client import Answer, BrokerUnreachable, Client, ClientClosed, TextInvalid, Untranslatable, UrlInvalid
from model.errors import DragomanError

ROOT = Path(__file__).parents[2]
NOBODY = "amqp://user:secret@127.0.0.1:1/%2F"


def test_a_reply_is_read_with_all_that_its_headers_say() -> None:
    headers = {
        "x-model-version": "2.0.0",
        "x-architecture": "abc",
        "x-corrected": "Je vais dormir.",
        "x-score": 0.75,
    }
    assert Answer.decode("Où ?".encode(), headers) == Answer("Où ?", "2.0.0", "abc", None, "Je vais dormir.", 0.75)


@pytest.mark.parametrize("headers", [None, {}, {"x-score": "high"}, {"x-score": True}, {"x-score": float("nan")}])
def test_a_reply_with_fewer_or_odd_headers_is_still_an_answer(headers: dict[str, object] | None) -> None:
    assert Answer.decode(b"yes", headers) == Answer("yes", "", "")


@pytest.mark.parametrize("value", [1, "0.5", decimal.Decimal("0.25"), 0.5])
def test_a_score_is_a_number_however_the_header_writes_it(value: object) -> None:
    assert Answer.decode(b"yes", {"x-score": value}).score == float(str(value))


@pytest.mark.parametrize(
    "url",
    ["", "http://host", "amqp://u:secret@host:port/%2F", "rabbitmq", "amqp://u:secret@[::1/%2F", NOBODY + " x://y"],
)
def test_a_url_that_cannot_be_used_is_refused_at_once_without_its_password(url: str) -> None:
    with pytest.raises(UrlInvalid) as error:
        Client(url)
    assert "secret" not in str(error.value)


@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS:DeprecationWarning")
def test_tls_that_verifies_nothing_is_refused() -> None:
    options = f"{{'protocol': 2, 'cafile': '{certifi.where()}'}}"  # 2: TLS, of whomever
    with pytest.raises(UrlInvalid, match="verify"):
        Client(f"amqps://host/%2F?ssl_options={options}")


def test_a_broker_that_does_not_answer_is_an_error_of_one_line_after_the_retries() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it doesn't listen
        url = f"amqp://user:secret@127.0.0.1:{nobody.getsockname()[1]}/%2F"
        with Client(url, retries=1) as client, pytest.raises(BrokerUnreachable, match="refused") as error:
            client.ask("Bonjour.")
    assert isinstance(error.value, DragomanError)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["half \ud800", "x" * (16 * 1024 * 1024 + 1)])
def test_a_text_that_no_message_can_carry_is_refused_before_anything_is_sent(text: str) -> None:
    with Client(NOBODY) as client, pytest.raises(TextInvalid):
        client.ask(text)


def test_what_is_not_a_translation_says_why() -> None:
    error = Untranslatable(Answer("Could not translate.", "1.0.0", "abc", "no-letters"))
    assert error.reason == "no-letters"
    assert "no-letters" in str(error)


def test_a_closed_client_says_so() -> None:
    client = Client(NOBODY)
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.ask("Bonjour.")


def _ask(client: Client, outcome: "multiprocessing.SimpleQueue[str]") -> None:
    try:
        client.ask("Bonjour.")
    except DragomanError as error:
        outcome.put(type(error).__name__)


def test_a_client_that_was_inherited_by_a_fork_says_so_instead_of_waiting_for_ever() -> None:
    context = multiprocessing.get_context("fork")
    outcome = context.SimpleQueue()
    with Client(NOBODY) as client:
        child = context.Process(target=_ask, args=(client, outcome))
        child.start()
        child.join(30)
        assert outcome.get() == "ClientClosed"


def test_it_loads_no_torch_and_nothing_of_the_command_line() -> None:
    code = "import sys, dragoman.client; sys.exit(bool({'torch', 'docker', 'typer', 'service'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
