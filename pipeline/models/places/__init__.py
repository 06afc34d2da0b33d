"""Recommendation of places: 2T-HGNN (2403.05185) and the graph foundation model (2403.07478). No torch in here."""
