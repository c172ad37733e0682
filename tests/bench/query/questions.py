"""What dashboards ask: the questions of the benchmark, over the sets of ../sets.py."""
import urllib.parse

from sets import MONTH_STEP_S, STEP_S, end_s, meta

HOUR, DAY = 3600, 86400
CPU = 'rate(node_cpu_seconds_total{mode!="idle"}[5m])'


class Question:
    """kind: query (instant), range, path.  The answer ends `back_s` after it begins, `steps_back`
    steps before the end of its set, so that it can be moved forward."""

    def __init__(self, name, data, kind, text, span_s=0, step_s=0):
        self.name, self.data, self.kind, self.text = name, data, kind, text
        self.span_s, self.step_s = span_s, step_s

    def path(self, moved=0, moves=0):
        """The request, `moved` steps on from the first of `moves`."""
        about = meta(self.data)
        own_step_s = MONTH_STEP_S if self.data == "month" else STEP_S
        step_s = self.step_s or own_step_s
        end = end_s(self.data) - own_step_s
        end = end // step_s * step_s - (moves - moved) * step_s
        start = max(end - self.span_s, about["start_ms"] // 1000)
        start = -(-start // step_s) * step_s
        if self.kind == "query":
            return "/api/v1/query?" + urllib.parse.urlencode({"query": self.text, "time": end})
        if self.kind == "range":
            return "/api/v1/query_range?" + urllib.parse.urlencode(
                {"query": self.text, "start": start, "end": end, "step": step_s})
        return self.text + urllib.parse.urlencode({"start": start, "end": end})

    def is_of_all_series(self):
        """A question for names or values that no selector narrows."""
        return self.kind == "path" and self.text.endswith("?")


def matching(selector):
    return "match%5B%5D=" + urllib.parse.quote(selector) + "&"


ONE = '{instance="host-0003:9100"}'
QUESTIONS = [
    # an hour of many hosts
    Question("one value", "wide", "query", "node_load1" + ONE),
    Question("one series, all hosts", "wide", "query",
             'node_scrape_collector_success{collector="cpu"}'),
    Question("cpu by host 1h/15s", "wide", "range", f"sum by (instance)({CPU})", HOUR, 15),
    Question("mem % by host 1h/15s", "wide", "range",
             "100*(1-node_memory_MemAvailable_bytes/node_memory_MemTotal_bytes)", HOUR, 15),
    Question("load of all hosts 1h/15s", "wide", "range", "node_load1", HOUR, 15),
    Question("topk 5 net, all hosts", "wide", "query",
             "topk(5, sum by (instance)(rate(node_network_receive_bytes_total[5m])))"),
    Question("regex hosts net 1h/15s", "wide", "range", "sum(rate(node_network_receive_bytes_total"
             '{instance=~"host-00[0-4].:9100",device!="lo"}[5m]))', HOUR, 15),
    Question("cpu share by mode, join 1h/60s", "wide", "range",
             "sum by (instance, mode)(rate(node_cpu_seconds_total[5m])) / on (instance) "
             "group_left sum by (instance)(rate(node_cpu_seconds_total[5m]))", HOUR, 60),
    Question("network in and out, join 1h/60s", "wide", "range",
             "rate(node_network_receive_bytes_total[5m]) + "
             "rate(node_network_transmit_bytes_total[5m])", HOUR, 60),
    Question("count all series", "wide", "query", 'count({__name__=~".+"})'),
    Question("label values instance", "wide", "path", "/api/v1/label/instance/values?", HOUR),
    Question("metric names", "wide", "path", "/api/v1/label/__name__/values?", HOUR),
    Question("label values of a metric", "wide", "path",
             "/api/v1/label/device/values?" + matching("node_network_receive_bytes_total"), HOUR),
    Question("series of one metric", "wide", "path",
             "/api/v1/series?" + matching("node_network_receive_bytes_total"), HOUR),
    # a day of a few
    Question("cpu by host 24h/60s", "long", "range", f"sum by (instance)({CPU})", DAY, 60),
    Question("cpu by host 24h/5m", "long", "range", f"sum by (instance)({CPU})", DAY, 300),
    Question("cpu one host 24h/60s", "long", "range", "sum(rate(node_cpu_seconds_total"
             '{mode!="idle",instance="host-0003:9100"}[5m]))', DAY, 60),
    Question("raw one series 24h", "long", "query", f"node_memory_MemAvailable_bytes{ONE}[24h]"),
    Question("one series 24h/15s", "long", "range", "node_memory_MemAvailable_bytes" + ONE, DAY,
             15),
    Question("rate over 12h, 12h/15s", "long", "range",
             "rate(node_network_receive_bytes_total" + ONE[:-1] + ',device!="lo"}[12h])',
             DAY // 2, 15),
    Question("max_over_time 24h all hosts", "long", "query", "max_over_time(node_load1[24h])"),
    Question("quantile of hosts 24h/5m", "long", "range",
             "quantile(0.95, node_load1)", DAY, 300),
    Question("count all series 24h/5m", "long", "range", 'count({__name__=~"node_.+"})', DAY,
             300),
    # a month of fewer, at five minutes
    Question("load 30d/1h", "month", "range", "avg_over_time(node_load1[1h])", 30 * DAY, HOUR),
    Question("cpu by host 30d/1h", "month", "range",
             'sum by (instance)(rate(node_cpu_seconds_total{mode!="idle"}[1h]))', 30 * DAY, HOUR),
    Question("one series 30d/5m", "month", "range", "node_memory_MemAvailable_bytes"
             '{instance="host-0001:9100"}', 30 * DAY, 300),
    Question("disk full by line 30d/6h", "month", "range",
             "predict_linear(node_filesystem_avail_bytes[1d], 86400)", 30 * DAY, 6 * HOUR),
]
