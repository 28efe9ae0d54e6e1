"""A folder for `PYTHONPATH`, of which Python imports `sitecustomize` by itself."""
