"""Ultra-fast potentials: two- and three-body splines and embeddings."""
