"""The demonstration: the whole product with simulated phones, in a temporary folder."""
