"""Contacts: prospects, aliases, suppression, validation, imports and retention."""
