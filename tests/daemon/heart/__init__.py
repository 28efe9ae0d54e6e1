"""The heart: the gate, the outbox, and the people who decide beside them."""
