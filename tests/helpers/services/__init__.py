"""Harness: real services over a real database, one file a service."""
