"""What a broker and its operators may do to queues, channels and clients, and clients to themselves."""

from typing import Any

import pika
import pytest
from broker.node import BrokerNode, free_port
from patience import until

from .client import Client
from .conftest import Start
from .rows import case, fault
from .texts import SENTENCE, sentences

GONE = 50


@fault("reply queue gone")
def test_replies_whose_queue_is_gone_are_returned_and_counted(start: Start, client: Client) -> None:
    port = free_port()
    replica = start(METRICS_PORT=str(port)).ready()
    for number, text in enumerate(sentences(2 * GONE)):
        if number % 2:
            client.send(text)
        else:
            client.send(text, gone=True, reply_to="nobody")
    client.wait_answered()
    until(lambda: replica.metrics(port)["dragoman_replies_returned_total"] >= GONE, "every return counted")
    client.books.returned = int(replica.metrics(port)["dragoman_replies_returned_total"])
    assert client.books.returned == GONE
    assert client.ask(SENTENCE).error is None
    assert replica.exit_codes == []


@fault("direct reply-to gone")
def test_replies_to_clients_that_left_are_dropped_and_counted(start: Start, client: Client, node: BrokerNode) -> None:
    client.declare()
    with pika.BlockingConnection(pika.URLParameters(node.url)) as connection:
        channel = connection.channel()
        channel.basic_consume("amq.rabbitmq.reply-to", lambda *_: None, auto_ack=True)
        channel.confirm_delivery()
        for number, text in enumerate(sentences(GONE)):
            client.books.attempt(f"gone {number}", text.encode(), gone=True)
            properties = pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id=f"gone {number}")
            channel.basic_publish("", client.queue, text.encode(), properties, mandatory=True)
            client.books.confirm(f"gone {number}")
    port = free_port()
    replica = start(METRICS_PORT=str(port)).ready()
    processed = 'dragoman_received_processed_messages_total{status="ok"}'
    until(lambda: replica.metrics(port).get(processed, 0) >= GONE, "every one done with")
    client.books.returned = int(replica.metrics(port)[processed])
    assert client.books.returned == GONE
    assert client.ask(SENTENCE).error is None
    assert replica.metrics(port)["dragoman_redelivered_messages_total"] == 0
    assert replica.exit_codes == []
    assert replica.stop() == 0  # what it hadn't acked would be in the queue now
    assert client.depth() == 0


@fault("queue deleted while consuming")
def test_a_deleted_queue_is_declared_again_and_served(start: Start, client: Client) -> None:
    replica = start().ready()
    client.ask(SENTENCE)
    client.delete(client.queue)
    replica.says("declaring it again").says("serving", times=2)
    assert client.ask(SENTENCE).error is None
    assert replica.exit_codes == []


@fault("publish channel closed by the broker")
def test_a_publishing_channel_that_the_broker_closes_is_opened_again(
    start: Start, client: Client, node: BrokerNode
) -> None:
    # A channel keeps the limit of the moment when it was opened, and is closed at a message that is longer.
    if node.control("version").startswith("4."):
        pytest.skip("RabbitMQ 4.0 asks for its limit at every message, so that no channel has one of its own")
    node.control("eval", "application:set_env(rabbit, max_message_size, 100).")
    try:
        replica = start().ready()
    finally:
        node.control("eval", "application:set_env(rabbit, max_message_size, 134217728).")
    sent = [client.send(text) for text in sentences(40)]
    long = client.send(" ".join(sentences(20)))
    sent += [client.send(text) for text in sentences(40)]
    client.wait_answered()
    assert len(client.reply(long).body) > 100
    assert all(client.reply(key).error is None for key in [*sent, long])
    assert replica.said("the broker closed the publishing channel") == 1
    assert replica.said("no connection to the broker") == 0
    assert replica.exit_codes == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        case("rpc_queue exists as transient", "transient", {}),
        case("rpc_queue exists as durable classic", "classic", {}),
        case("rpc_queue exists as quorum", "quorum", {}),
        case(
            "rpc_queue exists with dead-letter arguments",
            "classic",
            {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "elsewhere", "x-max-priority": 5},
        ),
    ],
)
def test_a_queue_that_exists_is_served_as_it_is(
    start: Start, client: Client, kind: str, arguments: dict[str, Any]
) -> None:
    client.declare(kind, arguments)
    for text in sentences(20):
        client.send(text)
    client.wait_confirmed()
    replica = start().ready()
    client.wait_answered()
    client.declare(kind, arguments)  # refused if it weren't the same any more
    assert replica.exit_codes == []


@fault("wrong password")
def test_a_wrong_password_is_77(start: Start, client: Client, node: BrokerNode) -> None:
    client.declare()
    client.send(SENTENCE)
    client.wait_confirmed()
    replica = start(AMQP_URL=node.url.replace("//dragoman:", "//dragoman:not-"))
    assert replica.ended() == 77
    assert client.depth() == 1
