"""Tests of the rule sets in force."""
