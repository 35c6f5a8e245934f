"""Extended XYZ, read and written."""
