"""Figures and tables; nothing else draws."""
