"""The built-in plugins; each imports daemon.api and nothing else of the product."""
