"""Standard errors of effects of job loss, beside how far estimates of panels without an effect lie apart."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.test_employment_effects import EVENT, MONDAYS, PARAMS, effects


def make_staggered(rng, n):
    """One stratum in which everybody has the event, week after week, and nothing comes of it."""
    values = rng.normal(0, 1, (n, 32)) + rng.normal(0, 2, 32)
    row, week = (index.ravel() for index in np.indices(values.shape))
    panel = pd.DataFrame({"device_id": row, "window_started": MONDAYS[week], "y": values.ravel()})
    event_on = pd.Series(MONDAYS[13 + 4 * (np.arange(n) % 4)])
    devices = pd.DataFrame({"device_id": np.arange(n), "stratum": "s", "event_on": event_on})
    return panel.assign(is_out=False, is_back=False), devices.assign(is_control=True, area="a")


def test_standard_errors_know_of_controls_who_have_the_event_later():
    rng = np.random.default_rng(2)
    params = PARAMS.model_copy(update={"months_after": 0, "caliper_sd": 100.0, "controls": "not_yet", "n_controls": 2})
    found = pd.concat([effects(make_staggered(rng, 40), params).loc[[0]] for _ in range(50)])
    variance, claimed = found["estimate"].var(), (found["std_error"] ** 2).mean()
    assert 0.65 * variance < claimed < 1.5 * variance
    is_covered = (found["estimate_low"] <= 0) & (found["estimate_high"] >= 0)
    assert is_covered.mean() >= 0.9


def make_noisy(rng, n_treated, n_controls):
    """One stratum with shocks of its own: people's weeks are noise, nothing happens at the event."""
    n = n_treated + n_controls
    values = rng.normal(0, 1, (n, 32)) + rng.normal(0, 2, 32)
    row, week = (index.ravel() for index in np.indices(values.shape))
    panel = pd.DataFrame({"device_id": row, "window_started": MONDAYS[week], "y": values.ravel()})
    event_on = pd.Series(MONDAYS[[EVENT] * n]).where(np.arange(n) < n_treated)
    devices = pd.DataFrame({"device_id": np.arange(n), "stratum": "s", "event_on": event_on})
    return panel.assign(is_out=False, is_back=False), devices.assign(is_control=True, area="a")


@pytest.mark.parametrize(("n_treated", "n_controls"), [(20, 60), (40, 8)])
def test_standard_errors_know_of_controls_that_serve_often(n_treated, n_controls):
    """Mean squared standard error beside the variance of the estimates, over panels without an effect."""
    rng = np.random.default_rng(1)
    params = PARAMS.model_copy(update={"months_after": 0, "caliper_sd": 100.0})
    found = pd.concat([effects(make_noisy(rng, n_treated, n_controls), params).loc[[0]] for _ in range(40)])
    variance, claimed = found["estimate"].var(), (found["std_error"] ** 2).mean()
    assert 0.6 * variance < claimed < 1.6 * variance
    is_covered = (found["estimate_low"] <= 0) & (found["estimate_high"] >= 0)
    assert is_covered.mean() >= 0.88
