"""Properties of crystals from their structure: features by exact lattice sums, networks, training, prediction.

Everything that imports torch lives here and is imported on use: the extra `[predict]`.
"""
