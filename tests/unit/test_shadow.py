"""What a shadow is asked, and what its report says."""

import pytest

from build_model.operation.rpc import Message
from build_model.operation.shadow import Pair, Report, copied
from dragoman.client import Answer


def answer(text: str, version: str, error: str | None = None) -> Answer:
    return Answer.decode(text.encode(), {"x-model-version": version, **({"x-error": error} if error else {})})


@pytest.mark.parametrize(
    ("body", "properties", "text"),
    [
        (b"Oui.", {}, "Oui."),
        (b"", {"content_type": "text/plain; charset=utf-8", "content_encoding": "UTF-8"}, ""),
        (b"Oui \xff", {}, None),  # what would end a service is not sent again
        (b"Oui.", {"content_encoding": "gzip"}, None),
        (b'{"text": "Oui."}', {"content_type": "application/json"}, None),
    ],
)
def test_only_plain_text_is_copied(body: bytes, properties: dict[str, str], text: str | None) -> None:
    assert copied(Message(body, {}, properties)) == text


def test_a_report_counts_what_a_client_would_see() -> None:
    same = Pair("Oui.", answer("Yes.", "1.0.0"), answer("Yes.", "2.0.0"), 0.1, 0.2)
    other = Pair("Non.", answer("No.", "1.0.0"), answer("Not.", "2.0.0"), 0.1, 0.2)
    failing = Pair("Bof.", answer("x", "1.0.0"), answer("x", "2.0.0", "empty"), 0.1, 0.2)
    report = Report((same, other, failing))
    assert report.different == (other, failing)
    assert report.line == "2 of 3 answers differ; an answer takes 0.200 s on average, of what serves 0.100 s"
    assert report.encode()["differences"][1]["then"] == {"text": "x", "version": "2.0.0", "error": "empty"}


def test_a_report_of_no_requests_says_so() -> None:
    assert Report(()).line == "no request passed that could be copied"
