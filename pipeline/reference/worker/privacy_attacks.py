"""scikit-mobility's attacks: the risk of a device is one over the fewest devices that match what is known of it."""

from read_frames import floats
from skmob.privacy import attacks


def _risks(attack, rows):
    found = attack.assess_risk(rows)
    return {"device_id": found["uid"].to_numpy(), "risk": floats(found["risk"])}


def location_attack(rows, n_known):
    """Return the risk where `n_known` visits' positions are known."""
    return _risks(attacks.LocationAttack(int(n_known)), rows)


def location_sequence_attack(rows, n_known):
    """Return the risk where `n_known` visits' positions are known in their order."""
    return _risks(attacks.LocationSequenceAttack(int(n_known)), rows)


def location_time_attack(rows, n_known, precision):
    """Return the risk where `n_known` visits' positions and times are known."""
    return _risks(attacks.LocationTimeAttack(int(n_known), time_precision=precision), rows)


def unique_location_attack(rows, n_known):
    """Return the risk where `n_known` distinct positions are known."""
    return _risks(attacks.UniqueLocationAttack(int(n_known)), rows)


def location_frequency_attack(rows, n_known, tolerance):
    """Return the risk where `n_known` distinct positions and the visits to each are known."""
    return _risks(attacks.LocationFrequencyAttack(int(n_known), tolerance=tolerance), rows)


def location_probability_attack(rows, n_known, tolerance):
    """Return the risk where `n_known` distinct positions and their shares of visits are known."""
    return _risks(attacks.LocationProbabilityAttack(int(n_known), tolerance=tolerance), rows)


def location_proportion_attack(rows, n_known, tolerance):
    """Return the risk where `n_known` distinct positions and their visits relative to the most are known."""
    return _risks(attacks.LocationProportionAttack(int(n_known), tolerance=tolerance), rows)


def home_work_attack(rows):
    """Return the risk where the two positions that scikit-mobility takes for home and work are known."""
    return _risks(attacks.HomeWorkAttack(), rows)


ATTACKS = {
    function.__name__: function
    for function in (
        location_attack,
        location_sequence_attack,
        location_time_attack,
        unique_location_attack,
        location_frequency_attack,
        location_probability_attack,
        location_proportion_attack,
        home_work_attack,
    )
}
