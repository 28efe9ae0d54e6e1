"""Tests of the linked channel."""
