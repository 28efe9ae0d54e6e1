"""What the gate costs beside many messages that wait."""
