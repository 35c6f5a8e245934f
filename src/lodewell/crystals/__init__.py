"""What goes in: crystals, packed in batches, with their neighbours."""
