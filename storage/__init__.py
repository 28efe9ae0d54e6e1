"""The one SQLite file: what is written, how, and how it is found whole again."""
