"""Linear least squares over streams of rows: squares, weights, held-out errors, evidence."""
