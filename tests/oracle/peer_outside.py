"""Public measures of the peers that no row of the table has a name of its own for: which row has them, or why none."""

from collections.abc import Mapping

SKMOB_MEASURES = (
    # skmob.measures.individual, .collective and .evaluation, skmob.privacy.attacks
    *("radius_of_gyration", "k_radius_of_gyration", "random_entropy", "uncorrelated_entropy", "real_entropy"),
    *("jump_lengths", "maximum_distance", "distance_straight_line", "waiting_times", "number_of_locations"),
    *("home_location", "max_distance_from_home", "number_of_visits", "location_frequency"),
    *("individual_mobility_network", "recency_rank", "frequency_rank"),
    *("random_location_entropy", "uncorrelated_location_entropy", "mean_square_displacement"),
    *("visits_per_location", "homes_per_location", "visits_per_time_unit"),
    *("common_part_of_commuters", "common_part_of_links", "common_part_of_commuters_distance", "r_squared", "mse"),
    *("rmse", "nrmse", "information_gain", "pearson_correlation", "spearman_correlation"),
    *("kullback_leibler_divergence", "max_error"),
    *("LocationAttack", "LocationSequenceAttack", "LocationTimeAttack", "UniqueLocationAttack"),
    *("LocationFrequencyAttack", "LocationProbabilityAttack", "LocationProportionAttack", "HomeWorkAttack"),
)
"""scikit-mobility cannot be imported beside ours: its public measures and attacks, as listed in release 1.3.1."""

SAME_AS: Mapping[str, str] = {
    **dict.fromkeys([name for name in SKMOB_MEASURES if name.endswith("Attack")], "privacy attacks"),
    "location_risk": "privacy attacks",
    "location_sequence_risk": "privacy attacks",
    "location_time_risk": "privacy attacks",
    "unique_location_risk": "privacy attacks",
    "location_frequency_risk": "privacy attacks",
    "location_probability_risk": "privacy attacks",
    "location_proportion_risk": "privacy attacks",
    "home_work_risk": "privacy attacks",
    "trajectory_predictability": "predictability",
    "motif_distribution": "daily_motifs",
    "fit_values_to_truncated_powerlaw": "truncated power law",
    "log_truncated_powerlaw": "truncated power law",
    "radius_gyration": "radius_of_gyration",
    "jump_length": "jump_lengths",
    "temporal_tracking_quality": "tracking quality",
    "location_identifier": "home_location",
    "freq_method": "home_location",
    "osna_method": "home_location",
    "od_metrics_per_area": "od_matrix",
    "intermittance_and_degree_of_return": "exploration_profiling",
}
"""Which row has a function that goes by another name."""

OF_NUMBERS = "errors and distances of numbers or distributions that are given, not measures of movement"
BY_ROAD = "ways by road need a road network, which Sojourn does not read"
BY_PURPOSE = "needs purposes of visits; Sojourn has kinds of place near a visit, not what it was for"
MODES = "legs and means of transport are no tables of Sojourn"
HELPERS = "prepares or cuts rows and measures nothing"
NOT_BUILT = "Sojourn has no measure of this kind"
OUTSIDE: Mapping[str, str] = {
    **dict.fromkeys(("r_squared", "mse", "rmse", "nrmse", "max_error", "information_gain"), OF_NUMBERS),
    **dict.fromkeys(("pearson_correlation", "spearman_correlation", "kullback_leibler_divergence"), OF_NUMBERS),
    **dict.fromkeys(("jensen_shannon_divergence", "wasserstein_distance", "stvd_emd", "compare_to"), OF_NUMBERS),
    **dict.fromkeys(("common_part_of_links", "common_part_of_commuters_distance"), OF_NUMBERS),
    **dict.fromkeys(("jump_lengths_road", "radius_of_gyration_road"), BY_ROAD),
    **dict.fromkeys(("activity_transition_matrix", "daily_activity_distribution", "interest_network"), BY_PURPOSE),
    **dict.fromkeys(("visit_purpose_distribution", "compute_profiles"), BY_PURPOSE),
    **dict.fromkeys(("predict_transport_mode", "calculate_modal_split"), MODES),
    **dict.fromkeys(("split_overlaps", "create_activity_flag", "pre_filter_locations"), HELPERS),
    **dict.fromkeys(("diversity", "fit_visitation_law", "fit_daily_location_lognormal", "build_stvd"), NOT_BUILT),
    **dict.fromkeys(("mean_area_volume",), NOT_BUILT),
}
"""Why no row has a function."""
