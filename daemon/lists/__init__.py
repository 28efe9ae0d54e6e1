"""Lists of any kind as tables: header row, columns and cells; without storage and plugins."""
