"""Texts: templates of messages with variables, previewed on real people, approved by a person."""
