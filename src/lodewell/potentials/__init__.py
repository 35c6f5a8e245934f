"""What comes out: potentials, all behind one contract."""
