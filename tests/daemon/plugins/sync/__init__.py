"""Tests of the CSV source."""
