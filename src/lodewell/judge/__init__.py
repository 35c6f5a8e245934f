"""A potential or a crystal held against data and physics."""
