"""What `sojourn train` and `sojourn models` print of a trained model."""

from pipeline.train_commands import N_METRICS, card_lines

CARD = {
    "name": "toy@0123456789ab",
    "title": "A toy",
    "study": {"name": "s", "start": "2020-01-01", "end": "2020-02-01"},
    "rows": {"visits": 1_000},
    "seed": 0,
    "seconds": 1.2,
    "torch": "2",
    "metrics": {f"known_people.m{k}": 0.5 for k in range(9)} | {"network.auc": 0.7},
}


def test_a_summary_stands_for_the_metrics():
    lines = card_lines(CARD | {"summary": ["network: AUC 0.7", "does not beat logistic"]})
    assert lines[3:] == ["  network: AUC 0.7", "  does not beat logistic"]


def test_without_one_the_first_metrics_are_listed_and_the_others_counted():
    lines = card_lines(CARD)
    assert len(lines) == 3 + N_METRICS + 1 and lines[-1] == "  and 2 more (--json)"


def test_a_model_of_withdrawn_devices_is_told():
    assert any("withdrawn since: train again" in line for line in card_lines(CARD | {"has_withdrawn": True}))
