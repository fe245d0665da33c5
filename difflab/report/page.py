"""Markdown tables, a line at a time."""


def row(*cells: str) -> str:
    """A line with these cells."""
    return "| " + " | ".join(cells) + " |"


def rule(columns: int) -> str:
    """What stands below a table's head."""
    return "|" + "---|" * columns
