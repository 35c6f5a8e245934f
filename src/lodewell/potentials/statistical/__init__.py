"""Statistical potentials, mined from known crystals."""
