"""Frames of a group's own and power series: positions on the sphere, worked out several rows at a time.

Axes of a frame are east, north and up at the group's first row, in units of the Earth's radius. Offsets from that row
are small numbers for an ordinary life and are never rounded against large ones, and the antimeridian and the poles are
ordinary places. Sines, cosines and arcsines are power series cut where a float holds no more, without branches or
calls, so that the compiler works on several rows at once; they hold for any offset on the sphere.
"""

import math

import numpy as np

from pipeline.kernels._numba import kernel

# Series in x^2 of sin(x) / x and cos(x), highest power first, for x up to a quarter turn: next terms < 1e-17.
SINE = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in reversed(range(11)))
COSINE = tuple((-1.0) ** k / math.factorial(2 * k) for k in reversed(range(12)))
# Series in h of asin(sqrt(h))^2 / h, highest power first, for h up to 0.0381: the next term is < 1e-17.
ARCSINE_SQUARED = tuple(4.0**k / (2 * k**2 * math.comb(2 * k, k)) for k in reversed(range(1, 12)))
# So many halvings bring the angle of any h up to 1 into that range.
HALVINGS = 3


@kernel
def fill_frame(lon, lat, frame):
    """Fill `frame` with (east, north, up) of every row relative to the first."""
    east, north, up = frame
    phi0 = math.radians(lat[0])
    sin_phi0, cos_phi0 = math.sin(phi0), math.cos(phi0)
    for k in range(lon.size):
        sin_dphi, vers_dphi = sine_and_versine(math.radians(lat[k] - lat[0]))
        sin_dlam, vers_dlam = sine_and_versine(turn(lon[k] - lon[0]))
        east[k], north[k], up[k] = to_frame(sin_dphi, vers_dphi, sin_dlam, vers_dlam, sin_phi0, cos_phi0)


@kernel
def turn(degrees):
    """Return a difference of longitudes in radians, at most half a turn; small ones are not rounded."""
    return math.radians(degrees - 360.0 * np.floor(degrees / 360.0 + 0.5))


@kernel
def sine_and_versine(x):
    """Return sin x and 1 - cos x for x up to half a turn, both right to the last digits near zero too."""
    half = x / 2
    sine = half * series(SINE, half * half)
    return 2 * sine * series(COSINE, half * half), 2 * sine * sine


@kernel
def series(coefficients, x):
    """Return the value of a power series in x, highest power first."""
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value


@kernel
def to_frame(sin_dphi, vers_dphi, sin_dlam, vers_dlam, sin_phi0, cos_phi0):
    """Return (east, north, up) from sine and versine of the offsets in latitude and longitude."""
    cos_phi = cos_phi0 - cos_phi0 * vers_dphi - sin_phi0 * sin_dphi
    lifted = cos_phi * vers_dlam
    return cos_phi * sin_dlam, sin_dphi + sin_phi0 * lifted, -vers_dphi - cos_phi0 * lifted


@kernel
def squared_angle(h):
    """Return d^2 = 4 asin(sqrt(h))^2 for the haversine h = sin(d / 2)^2, the square of half the line."""
    h = 1.0 if h > 1.0 else h
    for _ in range(HALVINGS):
        h = h / (2 + 2 * math.sqrt(1 - h))
    return 4.0 ** (HALVINGS + 1) * h * series(ARCSINE_SQUARED, h)


@kernel
def cosine(degrees):
    """Return the cosine of a latitude in degrees."""
    phi = math.radians(degrees)
    return series(COSINE, phi * phi)


@kernel
def haversine(lon1, lat1, cosine1, lon2, lat2, cosine2):
    """Return the haversine of the angle between two positions in degrees, given the cosines of their latitudes."""
    half_dphi, half_dlam = math.radians(lat2 - lat1) / 2, turn(lon2 - lon1) / 2
    sine_dphi = half_dphi * series(SINE, half_dphi * half_dphi)
    sine_dlam = half_dlam * series(SINE, half_dlam * half_dlam)
    return sine_dphi * sine_dphi + cosine1 * cosine2 * sine_dlam * sine_dlam


@kernel
def longest_group(group_start):
    """Return the number of rows of the longest group."""
    longest = 0
    for g in range(group_start.size - 1):
        longest = max(longest, group_start[g + 1] - group_start[g])
    return longest
