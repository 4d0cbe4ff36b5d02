"""The parts that dashboards are made of, and Grafana's JSON for them.

The schema is 39, that of Grafana 11, which 12 takes as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:  # Python 3.10 has no Unpack, and runs this for `make observe`
    from typing import Unpack

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
HEIGHT = {"stat": 4, "timeseries": 8, "heatmap": 8, "state-timeline": 8, "table": 8}

POLICY_METRICS = "pointsman_request_duration_seconds_count|pointsman_shadow_decisions_total"
# The values that a variable can have.
VARIABLES = {
    "instance": ("Instance", "label_values(pointsman_build_info, instance)"),
    # Policies that only watch have decisions and no requests of their own.
    "policy": (
        "Policy",
        f'label_values({{__name__=~"{POLICY_METRICS}", instance=~"$instance"}}, policy)',
    ),
    "model": ("Model", 'label_values(pointsman_tokens_total{instance=~"$instance", model!="passthrough"}, model)'),
    "classifier": ("Classifier", 'label_values(pointsman_classifier_queue_depth{instance=~"$instance"}, classifier)'),
    "head": ("Head", 'label_values(pointsman_score_count{classifier=~"$classifier"}, head)'),
    "provider": ("Provider", 'label_values(pointsman_upstream_attempts_total{instance=~"$instance"}, provider)'),
}

Json = dict[str, Any]
Thresholds = list[tuple[float | None, str]]


@dataclass(frozen=True)
class Q:
    """One query and what its series are called."""

    expr: str
    legend: str = ""


@dataclass
class Panel:
    """One picture: its queries, and how they are shown."""

    kind: str
    title: str
    queries: list[Q]
    unit: str
    description: str
    thresholds: Thresholds = field(default_factory=lambda: [(None, "green")])
    stack: str = "none"
    log: bool = False
    step: bool = False


@dataclass
class Row:
    """The head of a section: the panels up to the next row."""

    title: str


@dataclass
class Dashboard:
    """A page of panels with its variables."""

    name: str
    title: str
    description: str
    variables: list[str]
    items: list[Panel | Row]

    @property
    def panels(self) -> list[Panel]:
        return [item for item in self.items if isinstance(item, Panel)]

    def json(self) -> Json:
        return {
            "uid": f"pointsman-{self.name}",
            "title": f"Pointsman: {self.title}",
            "description": self.description,
            "tags": ["pointsman"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "annotations": {"list": []},
            "links": [
                {
                    "type": "dashboards",
                    "title": "Pointsman",
                    "tags": ["pointsman"],
                    "asDropdown": True,
                    "keepTime": True,
                    "includeVars": True,
                    "icon": "external link",
                    "targetBlank": False,
                    "tooltip": "",
                    "url": "",
                }
            ],
            "templating": {"list": [source(), *map(variable, self.variables)]},
            "panels": laid_out(self.items),
        }


class PanelOptions(TypedDict, total=False):
    """The options of a time series that differ from the usual ones."""

    stack: str
    log: bool
    step: bool


@dataclass(frozen=True)
class PanelKind:
    """Makes panels of one kind."""

    kind: str

    def __call__(
        self,
        title: str,
        queries: Q | list[Q],
        unit: str,
        description: str,
        thresholds: Thresholds | None = None,
        **options: Unpack[PanelOptions],
    ) -> Panel:
        queries = queries if isinstance(queries, list) else [queries]
        made = Panel(self.kind, title, queries, unit, description, **options)
        return replace(made, thresholds=thresholds) if thresholds else made


lines, stat, table, heat, state = map(PanelKind, ("timeseries", "stat", "table", "heatmap", "state-timeline"))


def source() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def variable(name: str) -> Json:
    label, query = VARIABLES[name]
    # Scores of different heads do not belong into one picture.
    all_at_once = name != "head"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name, "qryType": 1},
        **(
            {"allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
            if all_at_once
            else {"current": {}}
        ),
        "hide": 0,
        "includeAll": all_at_once,
        "multi": all_at_once,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
    }


def laid_out(items: list[Panel | Row]) -> list[Json]:
    """Places panels from left to right, and a row's last panels wider where there is room."""
    placed: list[Json] = []
    top, number = 0, 0
    for row, panels in sections(items):
        number += 1
        placed.append(
            {
                "id": number,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
                "panels": [],
            }
        )
        top += 1
        for line in broken(panels):
            x, height = 0, max(HEIGHT[panel.kind] for panel in line)
            for panel, width in zip(line, widths(line), strict=True):
                number += 1
                placed.append({"id": number, "gridPos": {"x": x, "y": top, "w": width, "h": height}, **shown(panel)})
                x += width
            top += height
    return placed


def sections(items: list[Panel | Row]) -> list[tuple[Row, list[Panel]]]:
    found: list[tuple[Row, list[Panel]]] = []
    for item in items:
        if isinstance(item, Row):
            found.append((item, []))
        else:
            found[-1][1].append(item)
    return found


def broken(panels: list[Panel]) -> list[list[Panel]]:
    """Breaks a section into lines: stats in one, of the others two or three."""
    small = [panel for panel in panels if panel.kind == "stat"]
    if len(small) == len(panels):
        return [panels[i : i + 6] for i in range(0, len(panels), 6)]
    per_line = 3 if len(panels) % 3 == 0 or len(panels) == 5 else 2
    return [panels[i : i + per_line] for i in range(0, len(panels), per_line)]


def widths(line: list[Panel]) -> list[int]:
    width, rest = divmod(COLUMNS, len(line))
    return [width + (1 if index < rest else 0) for index in range(len(line))]


def shown(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "pluginVersion": "11.6.0",
        "targets": [target(panel, index, query) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": OPTIONS[panel.kind],
        "transformations": TRANSFORMATIONS.get(panel.kind, []),
    }


def target(panel: Panel, index: int, query: Q) -> Json:
    instant = panel.kind == "table"
    form = {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series")
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": instant,
        "range": not instant,
        "format": form,
    }


def defaults(panel: Panel) -> Json:
    steps = [{"value": value, "color": color} for value, color in panel.thresholds]
    found: Json = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind in ("stat", "state-timeline") else "palette-classic"},
        "mappings": [],
    }
    if panel.unit == "percentunit" and panel.kind == "timeseries":
        found["min"] = 0
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "line",
            "lineInterpolation": "stepAfter" if panel.step else "linear",
            "lineWidth": 1 if panel.stack != "none" else 2,
            "fillOpacity": 25 if panel.stack != "none" else 8,
            "gradientMode": "none",
            "showPoints": "never",
            "pointSize": 5,
            "spanNulls": False,
            "stacking": {"mode": panel.stack, "group": "A"},
            "axisPlacement": "auto",
            "axisLabel": "",
            "axisColorMode": "text",
            "scaleDistribution": {"type": "log", "log": 10} if panel.log else {"type": "linear"},
            "thresholdsStyle": {"mode": "dashed" if len(panel.thresholds) > 1 else "off"},
            "hideFrom": {"tooltip": False, "viz": False, "legend": False},
        }
    if panel.kind == "state-timeline":
        found["thresholds"]["steps"] = [{"value": None, "color": "red"}, {"value": 1, "color": "green"}]
        found["mappings"] = [
            {"type": "value", "options": {"0": {"text": "no", "index": 0}, "1": {"text": "yes", "index": 1}}}
        ]
        found["custom"] = {"fillOpacity": 70, "lineWidth": 0}
    return found


OPTIONS = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    },
    "table": {
        "showHeader": True,
        "cellHeight": "sm",
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Blues",
            "fill": "dark-blue",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False},
    },
    "state-timeline": {
        "mergeValues": True,
        "showValue": "never",
        "alignValue": "left",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    },
}

TRANSFORMATIONS = {
    "table": [
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True, "__name__": True, "job": True},
                "indexByName": {},
                "renameByName": {"Value": "count"},
            },
        }
    ],
}
