"""The console in a real browser: what a person sees, and how fast."""
