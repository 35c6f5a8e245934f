"""Whether relaxing with a statistical potential first saves steps of a reference method."""
