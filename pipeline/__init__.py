"""Sojourn: anonymised GPS pings to stays, visits and mobility measures."""
