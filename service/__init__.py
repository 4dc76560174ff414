"""The RabbitMQ service: every message on the request queue is answered, returned or put into quarantine.

`python -m service` serves; `self-test` checks the model and opens no connection; `health` is for probes. What a client
may expect stands in `message`, what the broker may expect in `ledger`, what an operator decides in `settings`.
"""
