"""What must hold, stated as facts; each folder tests the room of its name."""
