"""Tests of what plugins may use."""
