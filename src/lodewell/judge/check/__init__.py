"""A potential held against the laws of physics and common sense."""
