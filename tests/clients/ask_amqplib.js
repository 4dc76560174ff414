// Asks for a translation with amqplib, as its example of direct reply-to does.
//
//     node ask_amqplib.js AMQP_URL QUEUE TEXT
//
// Prints a JSON object: the text, and the properties that a user of the library sees.

const amqp = require('amqplib');
const { randomUUID } = require('node:crypto');

const [url, queue, text] = process.argv.slice(2);

(async () => {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  const waiting = new Map();

  const ask = (text, correlationId) =>
    new Promise((resolve) => {
      waiting.set(correlationId, resolve);
      channel.sendToQueue(queue, Buffer.from(text), { correlationId, replyTo: 'amq.rabbitmq.reply-to' });
    });

  // Listen before asking: the broker ties the answers to this consumer.
  await channel.consume(
    'amq.rabbitmq.reply-to',
    (message) => {
      const { correlationId } = message.properties;
      waiting.get(correlationId)(message);
      waiting.delete(correlationId);
    },
    { noAck: true },
  );
  await channel.assertQueue(queue, { durable: false });

  const correlationId = randomUUID();
  const { content, properties } = await ask(text, correlationId);
  await channel.close();
  await connection.close();
  console.log(
    JSON.stringify({
      text: content.toString(),
      content_type: properties.contentType,
      content_encoding: properties.contentEncoding,
      headers: properties.headers,
      asked: correlationId,
      answered: properties.correlationId,
    }),
  );
})();
