"""Asks for a translation with aio-pika, as the RPC client of its tutorial does: an exclusive queue for the answers.

    python ask_aio_pika.py AMQP_URL QUEUE TEXT

Prints a JSON object: the text, and the properties that a user of the library sees.
"""

import asyncio
import json
import sys
import uuid

from aio_pika import Message, connect
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue


class Translator:
    """A client that may have many requests on their way."""

    connection: AbstractConnection
    channel: AbstractChannel
    answers: AbstractQueue

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.futures: dict[str, asyncio.Future[AbstractIncomingMessage]] = {}

    async def connect(self, url: str) -> "Translator":
        """Connects, and listens for answers."""
        self.connection = await connect(url)
        self.channel = await self.connection.channel()
        self.answers = await self.channel.declare_queue(exclusive=True)
        await self.answers.consume(self.on_answer, no_ack=True)
        return self

    async def on_answer(self, message: AbstractIncomingMessage) -> None:
        """Hands an answer to whoever waits for it."""
        assert message.correlation_id is not None
        self.futures.pop(message.correlation_id).set_result(message)

    async def ask(self, text: str, correlation_id: str) -> AbstractIncomingMessage:
        """The answer to a text."""
        future = asyncio.get_running_loop().create_future()
        self.futures[correlation_id] = future
        await self.channel.default_exchange.publish(
            Message(
                text.encode(), content_type="text/plain", correlation_id=correlation_id, reply_to=self.answers.name
            ),
            routing_key=self.queue,
        )
        answer: AbstractIncomingMessage = await future
        return answer


async def main(url: str, queue: str, text: str) -> None:
    """Asks once."""
    translator = await Translator(queue).connect(url)
    correlation_id = str(uuid.uuid4())
    answer = await translator.ask(text, correlation_id)
    await translator.connection.close()
    print(
        json.dumps(
            {
                "text": answer.body.decode(),
                "content_type": answer.content_type,
                "content_encoding": answer.content_encoding,
                "headers": dict(answer.headers),
                "asked": correlation_id,
                "answered": answer.correlation_id,
            }
        )
    )


asyncio.run(main(*sys.argv[1:]))
