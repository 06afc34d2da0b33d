"""Numerical kernels: numpy and numba over flat arrays, ignorant of tables and clusters."""
