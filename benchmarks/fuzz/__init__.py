"""Files made bad at random, through every reader."""
