"""The plots of job loss: what is drawn, in which order, and that equal tables give equal bytes."""

import base64
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from pipeline.report import effects as plots
from pipeline.report.effects import MEASURES, draw_effects, draw_groups, group_rows


@pytest.fixture
def effects():
    groups = [("all", "all"), ("sex", "male"), ("age", "young"), ("sex", "female")]
    rows = [(m, a, g, k) for m in MEASURES for a, g in groups for k in range(-3, 4)]
    frame = pd.DataFrame(rows, columns=["measure", "axis", "group", "months_since_loss"])
    estimate = np.where(frame["months_since_loss"] >= 0, -500.0, 0.0)
    std_error = np.where(frame["months_since_loss"] == -1, 0.0, 100.0)
    return frame.assign(
        estimate=estimate,
        std_error=std_error,
        estimate_low=estimate - 2 * std_error,
        estimate_high=estimate + 2 * std_error,
    )


@pytest.fixture
def drawn(monkeypatch):
    """The figures themselves, before they become images."""
    kept = []
    monkeypatch.setattr(plots, "to_image", lambda figure, alt: kept.append(figure))
    return kept


def test_images_are_svg_and_equal_tables_give_equal_bytes(effects):
    for draw in (lambda: draw_effects(effects, "why"), lambda: draw_groups(effects, "entropy_bits", 2, "why")):
        image = draw()
        assert image.alt == "why"
        assert image == draw()
        ET.fromstring(base64.b64decode(image.uri.removeprefix("data:image/svg+xml;base64,")))


def test_one_plot_a_measure_with_the_months_in_common(effects, drawn):
    some = effects[effects["measure"].isin(["gyration_m", "n_familiar"])]
    late = (some["measure"] == "n_familiar") & (some["months_since_loss"] > 1)
    draw_effects(some[~late].sample(frac=1, random_state=0), "")
    axes = drawn[0].axes
    assert [one.get_title(loc="left") for one in axes] == ["Radius of gyration", "Familiar locations"]
    assert axes[0].get_xlim() == axes[1].get_xlim()
    line = axes[0].containers[0].lines[0]
    assert line.get_xdata().tolist() == [-3, -2, -1, 0, 1, 2, 3]
    # In kilometres.
    assert line.get_ydata().tolist() == [0, 0, 0, -0.5, -0.5, -0.5, -0.5]
    assert axes[0].containers[0].has_yerr


def test_everybody_comes_first_then_axis_by_axis(effects, drawn):
    rows = group_rows(effects, "gyration_m", 2)
    assert rows["label"].tolist() == ["everybody", "age: young", "sex: female", "sex: male"]
    assert rows["place"].tolist() == pytest.approx([0, 1.6, 3.2, 4.2])
    draw_groups(effects, "gyration_m", 2, "")
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == rows["label"].tolist()
    assert axes.yaxis_inverted()
