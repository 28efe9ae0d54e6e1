"""The console: pages that read, in the server's own words; every change goes through `/v1`."""
