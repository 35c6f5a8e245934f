"""Scripts that print every number we claim; README.md maps claim to script to result."""
