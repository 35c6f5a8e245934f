"""One file for each neighbour: other codes' formats and interfaces."""
