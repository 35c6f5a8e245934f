"""JSON of databases and workflow codes."""
