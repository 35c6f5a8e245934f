"""What crystals and atoms look like, in numbers: SOAP, distances, angles, histograms, and how to choose among them."""
