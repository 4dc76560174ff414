"""The smoke test's private queue and what it says of a broker; what it does to an image is in tests/black_box."""

import pytest

from build_model.operation.rpc import Broker
from dragoman.client import BrokerUnreachable


def test_a_broker_that_does_not_answer_is_one_line_with_its_cause_and_no_password() -> None:
    with pytest.raises(BrokerUnreachable, match="refused") as error:
        Broker("amqp://user:secret@127.0.0.1:1/%2F?connection_attempts=1")
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["http://host", "amqp://host:port/%2F", "rabbitmq"])
def test_what_is_no_amqp_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(BrokerUnreachable, match="can't be used"):
        Broker(url)
