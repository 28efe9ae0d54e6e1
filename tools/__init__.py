"""Tools that write schemas, diagrams and reference pages; not part of the wheel."""
