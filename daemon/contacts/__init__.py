"""Services for contacts: prospects, aliases, suppression, validation, imports and retention."""
