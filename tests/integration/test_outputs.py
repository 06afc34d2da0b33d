"""What a run writes beside its tables where it is asked for: Dask's performance report, and metrics for Prometheus."""

import re
from importlib.metadata import PackageNotFoundError

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.engine.records import read_runs
from pipeline.engine.trouble import RunError
from pipeline.metrics import RunMetrics
from pipeline.running import Outputs, run_stages
from pipeline.settings import Settings
from tests.conftest import all_rows
from tests.integration.test_loading import day, study, write

STAGES = ["pings", "coverage", "stays"]
DEVICE = "356938035643809"
LON = 10.7654321
SECRETS = (DEVICE, str(LON), "107654321", "500000000")


def run(folder, performance_report=None, metrics_file=None, stages=STAGES):
    a_study = study(folder)
    settings = Settings(root=folder / "t", n_buckets=2, n_threads=1)
    return run_stages(a_study, settings, "run", a_study.dates(), stages, Outputs(performance_report, metrics_file))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "raw" / "a.csv", [row for name in (DEVICE, "B") for k in (0, 1) for row in day(name, k, lon=LON)])
    return tmp_path


def metrics_in(text):
    """Every sample of a file of metrics by name and labels, those of the study and command left out."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert (labels.pop("study"), labels.pop("command")) == ("x", "run")
            samples[(sample.name, *labels.values())] = sample.value
    return samples


def assert_silent(text, folder):
    assert not [secret for secret in SECRETS if secret in text]
    hashed = {str(v) for v in all_rows(folder / "t", "pings")["device_id"].to_pylist()}
    assert hashed and not [v for v in hashed if v in text]


def test_metrics_tell_of_stages_shards_rows_and_the_end(folder):
    path = folder / "metrics" / "sojourn.prom"
    summaries = {s.stage: s for s in run(folder, metrics_file=path)}
    text = path.read_text()
    found = metrics_in(text)
    assert [found["sojourn_run_state", state] for state in ("finished", "failed", "cancelled")] == [1, 0, 0]
    assert found["sojourn_run_finished_timestamp_seconds",] >= found["sojourn_run_started_timestamp_seconds",] > 1.7e9
    for name in STAGES:
        assert found["sojourn_stage_rows", name] == summaries[name].n_rows
        assert found["sojourn_stage_seconds", name] == pytest.approx(summaries[name].seconds, abs=0.5)
        for state in ("computed", "current", "removed"):
            assert found["sojourn_stage_shards", name, state] == summaries[name].shards.get(state, 0)
        assert found["sojourn_stage_shards", name, "failed"] == 0
    assert_silent(text, folder)
    assert [p.name for p in path.parent.iterdir()] == ["sojourn.prom"]
    run(folder, metrics_file=path)
    found = metrics_in(path.read_text())
    assert found["sojourn_stage_shards", "stays", "computed"] == 0
    assert found["sojourn_stage_shards", "stays", "current"] == summaries["stays"].shards["computed"]


def test_a_run_that_fails_says_where_in_metrics_and_still_has_its_report(folder):
    run(folder)
    shard = sorted((folder / "t" / "coverage").rglob("*.parquet"))[0]
    shard.write_bytes(b"")
    page, path = folder / "report.html", folder / "sojourn.prom"
    with pytest.raises(RunError, match="is damaged"):
        run(folder, page, path)
    found = metrics_in(path.read_text())
    assert [found["sojourn_run_state", state] for state in ("finished", "failed", "cancelled")] == [0, 1, 0]
    assert found["sojourn_stage_shards", "pings", "failed"] == 0
    assert found["sojourn_stage_shards", "coverage", "failed"] == 1
    assert ("sojourn_stage_seconds", "stays") not in found
    assert "Dask Performance Report" in page.read_text()
    assert_silent(page.read_text() + path.read_text(), folder)


def test_a_cancelled_run_and_one_that_is_refused_are_told_too(folder):
    path = folder / "sojourn.prom"
    metrics = RunMetrics("x", "run")
    with pytest.raises(KeyboardInterrupt), metrics.kept(path):
        metrics.begin("stays")
        raise KeyboardInterrupt
    found = metrics_in(path.read_text())
    assert (found["sojourn_run_state", "cancelled"], found["sojourn_stage_shards", "stays", "failed"]) == (1, 1)
    (folder / "t").mkdir()
    (folder / "t" / "_root.json").write_text('{"layout": 1, "n_buckets": 5}')
    with pytest.raises(RunError, match="was made with"):
        run(folder, metrics_file=path)
    assert metrics_in(path.read_text())["sojourn_run_state", "failed"] == 1


def test_metrics_that_cannot_be_written_do_not_hide_why_a_run_failed(folder):
    (folder / "file").write_text("no folder")
    with pytest.raises(RunError, match="stopped"), RunMetrics("x", "run").kept(folder / "file" / "sojourn.prom"):
        raise RunError("stopped")


def test_the_performance_report_shows_tasks_and_no_device_or_position(folder):
    page = folder / "pages" / "report.html"
    run(folder, page)
    text = page.read_text()
    assert "Dask Performance Report" in text
    assert {"read_pieces", "write_shards", "visit_shards"} <= set(re.findall(r"[a-z]+_[a-z]+", text))
    assert not re.search(r"<(?:script|link)[^>]+(?:src|href)=", text), "a page must fetch nothing"
    assert_silent(text, folder)


def test_without_bokeh_a_line_says_what_to_install_and_nothing_is_done(folder, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("pipeline.engine.cluster.version", missing)
    with pytest.raises(RunError, match=re.escape("pip install 'sojourn[performance]'")):
        run(folder, folder / "report.html")
    assert not (folder / "report.html").exists()
    assert not (folder / "t" / "pings").exists()
    assert read_runs(folder / "t")[-1]["state"] == "failed"
