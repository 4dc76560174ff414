"""Asks for a translation with kombu, as the RPC client of its examples does: Producer, Consumer, a queue of its own.

    python ask_kombu.py AMQP_URL QUEUE TEXT

Prints a JSON object: the text, and the properties that a user of the library sees.
"""

import json
import sys

from kombu import Connection, Consumer, Producer, Queue
from kombu.message import Message
from kombu.utils.uuid import uuid


class Translator:
    """A client that asks one thing at a time."""

    def __init__(self, connection: Connection, queue: str) -> None:
        self.connection = connection
        self.queue = queue
        self.answers = Queue(uuid(), exclusive=True, auto_delete=True)
        self.correlation_id = ""
        self.answer: Message | None = None

    def on_answer(self, message: Message) -> None:
        """Takes the answer that is waited for."""
        if message.properties["correlation_id"] == self.correlation_id:
            self.answer = message

    def ask(self, text: str) -> Message:
        """The answer to a text. A str goes out as text/plain in UTF-8; bytes would go out as `binary`."""
        self.answer = None
        self.correlation_id = uuid()
        with Producer(self.connection) as producer:
            producer.publish(
                text,
                exchange="",
                routing_key=self.queue,
                declare=[self.answers],
                reply_to=self.answers.name,
                correlation_id=self.correlation_id,
            )
        with Consumer(self.connection, on_message=self.on_answer, queues=[self.answers], no_ack=True):
            while self.answer is None:
                self.connection.drain_events()
        return self.answer


def main(url: str, queue: str, text: str) -> None:
    """Asks once."""
    with Connection(url) as connection:
        translator = Translator(connection, queue)
        answer = translator.ask(text)
        print(
            json.dumps(
                {
                    "text": answer.payload,  # decoded by what the message says of itself
                    "content_type": answer.content_type,
                    "content_encoding": answer.content_encoding,
                    "headers": answer.headers,
                    "asked": translator.correlation_id,
                    "answered": answer.properties["correlation_id"],
                }
            )
        )


main(*sys.argv[1:])
