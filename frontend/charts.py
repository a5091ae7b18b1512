"""Plotly figures as plain dictionaries, from what monitoring measured.

No colour is in them: a trace names a token (`meta.ink`), and the page resolves it when it draws, so
that one figure serves both themes. Moments are milliseconds since the epoch, in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitoring.domain.series import Marker, Series, Traffic

Figure = dict[str, Any]

INKS = 4
_ARROWS = {"switched": "→ ", "reverted": "↩ "}
_LATENCIES = (("p50", "dot", 1.25), ("p95", "solid", 2.0), ("p99", "dash", 1.25))
# What a live frame calls a measure, and the field of a point that holds it.
_FIELDS = {
    "requests": "requests_per_second",
    "errors": "errors_per_second",
    "p50": "p50_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
}


def ink(version: int) -> int:
    """The colour of a version, the same in charts, bars and tables: 1 to 4, round and round."""
    return (version - 1) % INKS + 1


def figures(traffic: Traffic) -> dict[str, Figure]:
    """The three charts of an endpoint, by name."""
    return {
        "requests": requests(traffic.series, traffic.markers),
        "errors": errors(traffic.series, traffic.markers),
        "latency": latency(traffic.series, traffic.markers),
    }


def requests(series: Sequence[Series], markers: Sequence[Marker]) -> Figure:
    traces = [_trace(each, "requests", _label(each)) for each in series]
    return {"data": traces, "layout": _layout("requests/s", markers)}


def errors(series: Sequence[Series], markers: Sequence[Marker]) -> Figure:
    traces = [_trace(each, "errors", _label(each)) for each in series]
    layout = _layout("errors/s", markers)
    # An axis that reaches 1 says "none" without magnifying a single error.
    layout["yaxis"]["autorangeoptions"] = {"include": [0, 1]}
    return {"data": traces, "layout": layout}


def latency(series: Sequence[Series], markers: Sequence[Marker]) -> Figure:
    traces = [
        _trace(each, measure, f"{_label(each)} {measure}", dash=dash, width=width)
        # One entry per release in the legend; the caption says what the dashes mean.
        | {"name": _label(each), "legendgroup": each.release, "showlegend": measure == "p95"}
        for each in series
        for measure, dash, width in _LATENCIES
    ]
    return {"data": traces, "layout": _layout("milliseconds", markers)}


def _label(series: Series) -> str:
    return f"version {series.version}"


def _trace(
    series: Series, measure: str, name: str, *, dash: str = "solid", width: float = 2.0
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [1000 * point.t for point in series.points],
        "y": [getattr(point, _FIELDS[measure]) for point in series.points],
        "line": {"dash": dash, "width": width},
        "connectgaps": False,
        "hovertemplate": f"%{{y:.1f}}<extra>{name}</extra>",
        "meta": {
            "release": series.release,
            "measure": measure,
            "ink": f"series-{ink(series.version)}",
        },
    }


def _layout(unit: str, markers: Sequence[Marker]) -> Figure:
    return {
        "uirevision": "keep",
        "margin": {"l": 46, "r": 12, "t": 26, "b": 26},
        "font": {"size": 11},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hovermode": "x unified",
        "dragmode": False,
        "xaxis": {
            "type": "date",
            "showgrid": False,
            "tickformat": "%H:%M:%S",
            "nticks": 6,
            "tickangle": 0,
            "fixedrange": True,
        },
        "yaxis": {
            "rangemode": "tozero",
            "nticks": 5,
            "title": {"text": unit, "standoff": 4, "font": {"size": 11}},
            "fixedrange": True,
        },
        "shapes": [_marker_line(marker) for marker in markers],
        "annotations": [_marker_note(marker, row) for row, marker in enumerate(markers)],
    }


def _marker_line(marker: Marker) -> Figure:
    moment = round(1000 * marker.t)
    return {
        "type": "line",
        "x0": moment,
        "x1": moment,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"width": 1, "dash": "dot"},
    }


def _marker_note(marker: Marker, row: int) -> Figure:
    """In three rows, because switches may follow each other closely."""
    return {
        "x": round(1000 * marker.t),
        "yref": "paper",
        "y": 1 - 0.13 * (row % 3),
        "yanchor": "top",
        "xanchor": "right",
        # Short; the whole sentence shows on hovering.
        "text": f"{_ARROWS.get(marker.kind, '')}#{marker.number} ",
        "hovertext": marker.label,
        "showarrow": False,
        "font": {"size": 10},
    }
