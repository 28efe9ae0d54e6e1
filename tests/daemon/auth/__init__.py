"""Tests of daemon/auth and of the door's side of it."""
