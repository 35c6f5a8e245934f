"""What judges a potential or a crystal: `lodewell compare`, and the hull of candidates."""
