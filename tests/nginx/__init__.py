"""The shipped nginx configuration, in front of a real daemon and behind a real nginx."""
