"""What tests stand on: a clock that they move, a house that they start."""
