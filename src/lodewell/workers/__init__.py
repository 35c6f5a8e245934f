"""The one seam for parallel work."""
