"""The outbox: one message at a time per session, from the gate's first look to the answer."""
