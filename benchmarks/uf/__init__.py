"""UF potentials: errors, cost of a fit, growth of time and memory."""
