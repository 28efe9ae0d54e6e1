"""Tests of daemon/lists."""
