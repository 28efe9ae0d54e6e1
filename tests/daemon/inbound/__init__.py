"""Tests of the inbound handler."""
