"""Tests of the simulated transport."""
