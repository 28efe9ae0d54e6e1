"""The built-in plugins; each sees daemon.api and nothing else of the house."""
