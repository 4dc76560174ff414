"""The naive server, a process of its own: RabbitMQ's RPC tutorial in Python, line by line.

It differs in three places only: the queue is there already, of the type that the row is about; `fib` is the model; and
the broker's address comes from the environment.
"""

import os
from pathlib import Path
from typing import Any

import pika

import model
from model.translator import Translator

translator = Translator.load(Path(model.__file__).parent / "checkpoint", threads=1)
queue = os.environ["RPC_QUEUE"]

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))

channel = connection.channel()

channel.queue_declare(queue=queue, passive=True)


def translate(text: str) -> str:
    """What the server is asked for."""
    (translation,) = translator.translate([text])
    return translation.text


def on_request(ch: Any, method: Any, props: Any, body: bytes) -> None:
    """As in the tutorial."""
    response = translate(body.decode())

    ch.basic_publish(
        exchange="",
        routing_key=props.reply_to,
        properties=pika.BasicProperties(correlation_id=props.correlation_id),
        body=response,
    )
    ch.basic_ack(delivery_tag=method.delivery_tag)


channel.basic_qos(prefetch_count=1)
channel.basic_consume(queue=queue, on_message_callback=on_request)

channel.start_consuming()
