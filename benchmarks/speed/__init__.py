"""How fast lodewell is beside its peers: the quick scripts of `make bench`."""
