"""Figures as the page gets them. The snapshot is beside this file; look at its diff."""

from __future__ import annotations

import json
import re
from pathlib import Path

import plotly.graph_objects as go
import pytest

from frontend import charts
from monitoring.domain.series import Marker, Point, Series, Totals, Traffic

SNAPSHOT = Path(__file__).with_name("figures.json")
T = 1_800_000_000


def point(t: int, requests: float, p95: float | None = 4.0) -> Point:
    return Point(t, 1, requests, 0.0, p95 and p95 / 2, p95, p95 and p95 * 2)


TRAFFIC = Traffic(
    endpoint="end_1",
    begin=T - 3,
    end=T,
    step=1,
    summary="",
    totals=Totals(),
    series=(
        Series("rel_A", 1, (point(T - 2, 50.0), point(T - 1, 20.0))),
        Series("rel_B", 2, (point(T - 1, 30.0), point(T, 50.0, None))),
    ),
    markers=(Marker(T - 1.5, "switched", "Version 2 takes over", "rol_1", 2),),
)


def test_the_figures_are_those_of_the_snapshot() -> None:
    made = json.dumps(charts.figures(TRAFFIC), indent=1, sort_keys=True)
    assert made + "\n" == SNAPSHOT.read_text()


@pytest.mark.parametrize("name", ["requests", "errors", "latency"])
def test_plotly_knows_every_property_that_a_figure_uses(name: str) -> None:
    figure = charts.figures(TRAFFIC)[name]
    go.Figure(figure, skip_invalid=False)


def test_no_colour_is_in_a_figure_because_the_page_chooses_it() -> None:
    text = json.dumps(charts.figures(TRAFFIC))
    assert not re.search(r"#[0-9a-fA-F]{6}|rgb", text)


def test_a_second_without_an_answer_is_a_gap_and_no_zero() -> None:
    latencies = charts.latency(TRAFFIC.series, ())["data"]
    assert [trace["y"] for trace in latencies if trace["meta"]["release"] == "rel_B"] == [
        [2.0, None],
        [4.0, None],
        [8.0, None],
    ]
    assert not any(trace["connectgaps"] for trace in latencies)


def test_a_version_has_the_same_colour_everywhere_and_neighbours_differ() -> None:
    assert [charts.ink(version) for version in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 1]
    inks = {trace["meta"]["ink"] for trace in charts.requests(TRAFFIC.series, ())["data"]}
    assert inks == {"series-1", "series-2"}


def test_a_switch_is_a_line_across_the_chart_with_its_rollout() -> None:
    layout = charts.requests((), TRAFFIC.markers)["layout"]
    assert layout["shapes"][0]["x0"] == round(1000 * (T - 1.5))
    assert layout["annotations"][0]["text"] == "→ #2 "


def test_an_endpoint_without_traffic_has_figures_without_traces() -> None:
    empty = Traffic("end_1", 0, 1, 1, "", Totals())
    assert [figure["data"] for figure in charts.figures(empty).values()] == [[], [], []]


def test_measures_are_named_as_live_frames_name_them() -> None:
    figures = charts.figures(TRAFFIC).values()
    named = {trace["meta"]["measure"] for figure in figures for trace in figure["data"]}
    assert named == {"requests", "errors", "p50", "p95", "p99"}
