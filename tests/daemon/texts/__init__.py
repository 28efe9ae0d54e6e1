"""Tests of texts: templates of messages."""
