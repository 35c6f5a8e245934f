"""LAMMPS: tables, UF3 and spline MEAM files."""
