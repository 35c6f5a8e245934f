"""What whole commands cost."""
