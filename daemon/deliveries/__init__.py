"""Deliveries: batches of people for a client, and what the client says of each."""
