"""What the page tells of trained models: which are missing or of withdrawn devices, and metrics that can be read."""

import json

import pytest

from pipeline.engine.artifacts import CARD_FILE, MODELS_FOLDER
from pipeline.report import write_report
from pipeline.report.model_metrics import metric_tables
from tests import people_root
from tests.integration.page import Page, rows_of

FORECASTS, PLACES, GONE = (
    f"{name}@0123456789ab" for name in ("exploration_forecasts", "two_tower_hgnn", "week_summaries")
)
METRICS = {
    "n_devices": 101.0,
    "true_share": 0.9236,
    "network.auc": 0.6733,
    "network.log_loss": 0.2618,
    "logistic.auc": 0.5874,
    "logistic.log_loss": 0.2868,
    "network_less_logistic.log_loss": -0.025,
    "network_less_logistic.log_loss.low": -0.041,
    "network_less_logistic.log_loss.high": 0.002,
    "network.kind_top_1": 0.2266,
    "known_people.n_devices": 352.0,
    "known_people.network.auc": 0.6649,
}


def card(name, **fields):
    return {
        "name": name, "title": f"What {name} does", "source": "Ours", "outputs": ["t"], "seed": 3,
        "study": {"name": "s", "start": "2020-01-01", "end": "2020-02-01"}, "rows": {"visits": 1_000},
        "params": {"hgnn": {"max_epochs": 5}}, "seconds": 1.0, "torch": "2", **fields,
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("models") / "tables"
    people_root.write_people(root)
    places = {"hr_at_10": 0.07, "mrr": 0.03, "popularity_hr_at_10": 0.05, "popularity_mrr": 0.02, "n_persons": 476.0}
    for each in (
        card(FORECASTS, metrics=METRICS, summary=["network: AUC 0.6733", "network does not beat it (log loss)"]),
        card(PLACES, metrics=places, has_withdrawn=True),
    ):
        folder = root / MODELS_FOLDER / each["name"]
        folder.mkdir(parents=True)
        (folder / CARD_FILE).write_text(json.dumps(each))
    study = people_root.study_of(models=[FORECASTS, PLACES, GONE])
    return write_report(study, root, root.parent / "r.html").read_text()


def test_a_missing_model_and_one_of_withdrawn_devices_are_told(page):
    words = Page(page).text
    assert f"{GONE} is named by the study and not under this root" in words
    assert words.count("It learnt from devices that were withdrawn since") == 1
    assert words.index(PLACES) < words.index("withdrawn since") and "names no trained model" not in words


def test_metrics_are_a_row_for_each_forecaster_with_intervals_in_brackets(page):
    rows = rows_of(page, "models")
    minus = "\N{MINUS SIGN}"
    assert rows["logistic"] == ["0.5874", "0.2868", ""]
    assert rows["network less logistic"] == ["", f"{minus}0.0250 ({minus}0.0410…0.0020)", ""]
    assert rows["network"] == ["0.6649"]  # the last such row: people known from before
    assert rows["the model"] == ["0.0700", "0.0300"] and rows["popularity"] == ["0.0500", "0.0200"]
    assert rows["hgnn.max_epochs"] == ["5"]
    assert len(rows) == 6


def test_the_model_stands_first_and_differences_last():
    first, known = metric_tables(METRICS)
    assert [name for name, _ in first.rows] == ["network", "logistic", "network less logistic"]
    assert first.columns == ["AUC", "log loss", "kind first"] and known.columns == ["AUC"]
    assert first.others == [("n devices", "101"), ("share of weeks in which it was so", "0.9236")]
    assert known.others == [("n devices", "352")]
    (few,) = metric_tables({"n_persons": 12_345.0})
    assert (few.rows, few.columns, few.others) == ([], [], [("n persons", "12,345")])
    assert metric_tables({}) == []


def test_lines_come_first_and_words_are_explained(page):
    words = Page(page).text
    assert words.index("network does not beat it") < words.index("All metrics")
    for told in ("visited a place that was new to them", "AUC: how often", "log loss: mean of", "kind first: share"):
        assert told in words
    assert words.count("HR@10: share of the people") == 1 and "Brier:" not in words
