"""Prediction of properties: errors, speed, what is found unusual, and the card of the shipped model."""
