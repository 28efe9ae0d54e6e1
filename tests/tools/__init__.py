"""Tests of the tools that write pages of the documentation."""
