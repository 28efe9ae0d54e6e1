"""The one SQLite database: schema, single writer, readers, and the queries on each table."""
