"""The one SQLite database.

Its schema, its single writer, its readers, and the queries on each table.
"""
