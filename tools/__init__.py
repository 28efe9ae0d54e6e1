"""What writes schemas, diagrams and reference pages; not part of the wheel."""
