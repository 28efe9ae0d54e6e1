"""An import of a long list."""
