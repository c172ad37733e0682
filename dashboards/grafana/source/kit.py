"""kit.py - from a board's description to Grafana's dashboard JSON.

A board is written once, with its texts in two languages, and comes out as two files that differ in
nothing but those texts:

    board = Board("fengsui-host", ("主机", "Host"), variables=[...])
    with_row = board.row(("处理器", "CPU"))
    board.graph(("各状态 CPU 时间", "CPU time by mode"), "percentunit",
                [('avg by (mode) (rate(node_cpu_seconds_total{...}[$__rate_interval]))', "{{mode}}")])

Panels flow from left to right in Grafana's 24 columns; a row starts a new line.  A text is a pair
(Chinese, English); a string stands for both.  The JSON is Grafana's classic model, see
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""
import copy
import json

LANGUAGES = ("zh", "en")
SCHEMA_VERSION = 41
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SLOW = "15s"  # sources that tick every 15 s: process groups, the collector's own metrics

GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"


class Text:
    """A text in two languages; becomes one of them when the board is printed."""

    def __init__(self, zh, en):
        self.by_language = {"zh": zh, "en": en}


def text(value):
    return Text(*value) if isinstance(value, tuple) else value


def steps(first, *others):
    """Thresholds: a colour, and then pairs of a value and the colour from there on."""
    return {"mode": "absolute", "steps": [{"color": first, "value": None}]
            + [{"color": color, "value": value} for value, color in others]}


LOAD = steps(GREEN, (0.7, YELLOW), (0.9, RED))  # the share of something that is used


def states(**by_value):
    """A value mapping; keys are `v0`, `v1` ..., values a pair of text and colour."""
    return [{"type": "value", "options": {
        key[1:]: {"text": text(words), "color": color, "index": index}
        for index, (key, (words, color)) in enumerate(by_value.items())}}]


def negative(pattern):
    """An override: series whose name matches are drawn below the axis."""
    return {"matcher": {"id": "byRegexp", "options": pattern},
            "properties": [{"id": "custom.transform", "value": "negative-Y"}]}


def dashed(pattern):
    """An override: series whose name matches are limits, not shares of a stack."""
    return {"matcher": {"id": "byRegexp", "options": pattern},
            "properties": [{"id": "custom.stacking", "value": {"group": False, "mode": "none"}},
                           {"id": "custom.fillOpacity", "value": 0},
                           {"id": "custom.lineStyle", "value": {"dash": [8, 6], "fill": "dash"}}]}


def named(pattern, words, unit=None):
    """An override for a table's column: its title, and its unit."""
    properties = [{"id": "displayName", "value": text(words)}]
    if unit:
        properties.append({"id": "unit", "value": unit})
    return {"matcher": {"id": "byName", "options": pattern}, "properties": properties}


def query_variable(name, label, query, every=False):
    """A variable that Grafana fills by asking for label values."""
    variable = {
        "name": name, "label": text(label), "type": "query", "datasource": SOURCE,
        "query": {"qryType": 1, "query": query, "refId": f"Variable-{name}"},
        "definition": query, "refresh": 2, "sort": 1, "hide": 0, "regex": "", "options": [],
        "skipUrlSync": False, "multi": every, "includeAll": every, "current": {}}
    if every:
        variable.update(allValue=".*", current={"selected": True, "text": ["All"],
                                                "value": ["$__all"]})
    return variable


class Board:
    def __init__(self, uid, title, description, variables, tags=("fengsui",), links=()):
        self.uid, self.title, self.description = uid, title, description
        self.variables, self.tags, self.links = variables, list(tags), list(links)
        self.panels, self.annotations = [], []
        self.x = self.y = self.line_height = 0
        self.next_id = 1

    # -- layout ---------------------------------------------------------------------------------

    def place(self, width, height):
        if self.x + width > COLUMNS:
            self.end_line()
        position = {"x": self.x, "y": self.y, "w": width, "h": height}
        self.x += width
        self.line_height = max(self.line_height, height)
        return position

    def end_line(self):
        self.x, self.y, self.line_height = 0, self.y + self.line_height, 0

    def add(self, panel, width, height):
        panel["id"], self.next_id = self.next_id, self.next_id + 1
        panel["gridPos"] = self.place(width, height)
        self.panels.append(panel)
        return panel

    def row(self, title):
        self.end_line()
        self.add({"type": "row", "title": text(title), "collapsed": False, "panels": []},
                 COLUMNS, 1)
        self.end_line()

    # -- panels ---------------------------------------------------------------------------------

    def panel(self, kind, title, unit, queries, *, description=None, width, height, every=None,
              instant=False, table=False, defaults=None, overrides=(), options=None, links=()):
        targets = []
        for index, (expression, legend) in enumerate(queries):
            target = {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression,
                      "legendFormat": text(legend), "editorMode": "code",
                      "format": "table" if table else "time_series",
                      "instant": instant, "range": not instant}
            if every:
                target["interval"] = every
            targets.append(target)
        panel = {
            "type": kind, "title": text(title), "datasource": SOURCE, "targets": targets,
            "fieldConfig": {"defaults": {"unit": unit, **(defaults or {})},
                            "overrides": list(overrides)},
            "options": options or {}, "links": list(links)}
        if description:
            panel["description"] = text(description)
        return self.add(panel, width, height)

    def graph(self, title, unit, queries, *, stack=False, low=0, high=None, thresholds=None,
              legend=("mean", "max"), width=12, height=8, **more):
        custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 10,
                  "showPoints": "never", "spanNulls": False, "axisPlacement": "auto",
                  "stacking": {"group": "A", "mode": "normal" if stack else "none"}}
        defaults = {"custom": custom, "color": {"mode": "palette-classic"}}
        if low is not None:
            defaults["min"] = low
        if high is not None:
            defaults["max"] = high
        if thresholds:
            defaults["thresholds"] = thresholds
            custom["thresholdsStyle"] = {"mode": "line"}
        return self.panel("timeseries", title, unit, queries, width=width, height=height,
                          defaults=defaults, options={
                              "legend": {"displayMode": "table", "placement": "bottom",
                                         "showLegend": True, "calcs": list(legend)},
                              "tooltip": {"mode": "multi", "sort": "desc"}}, **more)

    def stat(self, title, unit, expression, *, thresholds=None, mappings=None, decimals=None,
             legend="", show="value", width=3, height=4, trend=True, **more):
        defaults = {"thresholds": thresholds or steps(BLUE), "color": {"mode": "thresholds"}}
        if mappings:
            defaults["mappings"] = mappings
        if decimals is not None:
            defaults["decimals"] = decimals
        return self.panel("stat", title, unit, [(expression, legend)], width=width, height=height,
                          instant=not trend, defaults=defaults, options={
                              "reduceOptions": {"calcs": ["lastNotNull"], "fields": "",
                                                "values": False},
                              "colorMode": "value", "graphMode": "area" if trend else "none",
                              "textMode": show, "justifyMode": "auto",
                              "orientation": "auto"}, **more)

    def bars(self, title, unit, queries, *, thresholds=None, high=None, width=12, height=8, **more):
        defaults = {"thresholds": thresholds or steps(BLUE), "color": {"mode": "thresholds"},
                    "min": 0}
        if high is not None:
            defaults["max"] = high
        return self.panel("bargauge", title, unit, queries, width=width, height=height,
                          instant=True, defaults=defaults, options={
                              "reduceOptions": {"calcs": ["lastNotNull"], "fields": "",
                                                "values": False},
                              "orientation": "horizontal", "displayMode": "gradient",
                              "showUnfilled": True, "valueMode": "color"}, **more)

    def table(self, title, queries, *, unit="none", hide=(), order=(), sort=None, width=12,
              height=8, defaults=None, **more):
        """A row a label set; the queries' values are the columns `Value #A`, `Value #B` ..."""
        panel = self.panel("table", title, unit, queries, width=width, height=height,
                           instant=True, table=True,
                           defaults={"custom": {"align": "auto", "filterable": True},
                                     **(defaults or {})},
                           options={"showHeader": True, "cellHeight": "sm",
                                    "sortBy": [{"displayName": text(sort[0]), "desc": sort[1]}]
                                    if sort else []}, **more)
        panel["transformations"] = [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {
                "excludeByName": {name: True for name in ("Time", "__name__", "job", *hide)},
                "indexByName": {name: i for i, name in enumerate(order)}, "renameByName": {}}}]
        return panel

    def timeline(self, title, expression, legend, mappings, *, width=12, height=8, **more):
        return self.panel("state-timeline", title, "none", [(expression, legend)], width=width,
                          height=height, defaults={
                              "mappings": mappings, "color": {"mode": "thresholds"},
                              "thresholds": steps("text"),
                              "custom": {"fillOpacity": 80, "lineWidth": 0}},
                          options={"mergeValues": True, "showValue": "never", "rowHeight": 0.9,
                                   "legend": {"showLegend": False, "displayMode": "list",
                                              "placement": "bottom"},
                                   "tooltip": {"mode": "single", "sort": "none"}}, **more)

    def annotate(self, name, expression, title, color):
        """Marks over all graphs wherever the expression has a value."""
        self.annotations.append({
            "name": text(name), "enable": True, "hide": False, "iconColor": color,
            "datasource": SOURCE, "expr": expression, "titleFormat": title, "step": "15s",
            "textFormat": "", "tagKeys": "severity", "useValueForTime": False})

    # -- output ---------------------------------------------------------------------------------

    def in_language(self, language):
        self.end_line()
        other = "en" if language == "zh" else "zh"
        uid = self.uid + ("-en" if language == "en" else "")
        switch = {"type": "link", "title": "English" if other == "en" else "中文",
                  "url": f"/d/{self.uid}" + ("-en" if other == "en" else ""),
                  "keepTime": True, "includeVars": True, "asDropdown": False, "icon": "external link",
                  "tags": [], "targetBlank": False, "tooltip": ""}
        links = [{"type": "link", "title": text(title), "url": f"/d/{target}"
                  + ("-en" if language == "en" else ""), "keepTime": True, "includeVars": False,
                  "asDropdown": False, "icon": "dashboard", "tags": [], "targetBlank": False,
                  "tooltip": ""} for title, target in self.links]
        source = {"name": "datasource", "label": text(("数据源", "Data source")),
                  "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0, "regex": "",
                  "multi": False, "includeAll": False, "options": [], "skipUrlSync": False,
                  "current": {"selected": False, "text": "Fengsui", "value": "fengsui"}}
        board = {
            "id": None, "uid": uid, "title": text(self.title),
            "description": text(self.description), "tags": self.tags + [language],
            "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": True, "graphTooltip": 1,
            "timezone": "browser", "refresh": "15s", "fiscalYearStartMonth": 0,
            "time": {"from": "now-1h", "to": "now"}, "timepicker": {}, "links": [*links, switch],
            "templating": {"list": [source, *self.variables]},
            "annotations": {"list": self.annotations}, "panels": self.panels}
        return say(copy.deepcopy(board), language)


def say(value, language):
    """The same, every Text replaced by its words in one language."""
    if isinstance(value, Text):
        return value.by_language[language]
    if isinstance(value, dict):
        return {key: say(item, language) for key, item in value.items()}
    if isinstance(value, list):
        return [say(item, language) for item in value]
    return value


def to_json(board):
    return json.dumps(board, ensure_ascii=False, indent=1) + "\n"
