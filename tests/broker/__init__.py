"""Brokers of the tests' own, which may be killed, restarted and alarmed: no other broker is touched."""
