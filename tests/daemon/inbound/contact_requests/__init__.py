"""Tests of the reader of what contacts' words ask."""
