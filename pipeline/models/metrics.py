"""What metrics of models are called, and what they are: one table for cards, commands and the report."""

METRICS: dict[str, tuple[str, str]] = {
    "auc": ("AUC", "how often a week in which it was so has a higher probability than one in which not (0.5: chance)"),
    "brier": ("Brier", "mean squared error of the probability, lower is better"),
    "log_loss": ("log loss", "mean of −ln of the probability given to what came, lower is better"),
    "kind_top_1": ("kind first", "share of the weeks with a new place whose kind was held most probable"),
    "kind_top_3": ("in 3", "share of them whose kind was among the three held most probable"),
    "calibration_slope": ("slope", "1 where probabilities are sound, below 1 where too sure of themselves"),
    "mean": ("mean", "mean probability"),
    "hr_at_10": ("HR@10", "share of the people whose next new place was among the first ten listed for them"),
    "mrr": ("MRR", "mean of 1 / rank of that place, 0 where it was not listed"),
    "coverage": ("coverage", "share of the places that are in anybody's list"),
    "texts_right": ("texts right", "share of the texts of which every number agrees with the table"),
    "facts_right": ("facts right", "share of the facts that do"),
    "sign_test_p": ("p", "of a sign test of the two over the weeks held out: small where they differ for certain"),
}
"""Name of a metric → its title and what it is, in the order of columns."""
