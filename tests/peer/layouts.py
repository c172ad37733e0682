"""layouts.py - random expressions of every form, mostly long and deep: what format_query is asked.

They are right in types and mean nothing.  What Debian's Prometheus 2 writes otherwise than 3 is left
out: numbers from a million on and below 1e-4, ignoring() with nothing in it before group_left.  So is
"+Inf ^ x" of both, which reads back as another expression: we write "Inf ^ x".
"""
import json
import random
import re
import urllib.parse

METRICS = ("up", "node_filesystem_avail_bytes", "job:http_requests:rate5m", "a", "sum", "offset",
           "container_memory_working_set_bytes", "by", "start", "kube_pod_container_status_restarts_total")
LABELS = ("job", "instance", "le", "on", "mountpoint", "bool", "__name__", "exported_namespace")
VALUES = ("node", "", "a|b", ".+", "10.0.0.1:9100", "生产", "a\\\\d+", "it's", 'say \\"x\\"',
          "tab\\there", "line\\nbreak", "\\x07\\u00e9\\u200b\\U0001F600", "\\xff\\xfe",
          "/var/lib/kubelet/pods/volumes/kubernetes.io~csi", "^(eth|ens|bond)[0-9]+$")
TIMES = ("5m", "90s", "1h30m", "1d", "3d12h", "2w", "15d", "1y", "400d", "250ms", "1m1s1ms", "86400s", "8w3d")
NUMBERS = ("0", "1", "1.5", "0x1F", "1e3", "999999", "0.0001", "NaN", "Inf", "0.1", "123.456", ".5", "017")
OPERATORS = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", "<", ">", "<=", ">=")
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
OF_VECTORS = ("abs", "ceil", "exp", "ln", "sort", "sort_desc", "timestamp", "absent", "sgn", "hour", "minute")
OF_RANGES = ("rate", "increase", "irate", "delta", "deriv", "avg_over_time", "max_over_time", "changes",
             "absent_over_time", "stddev_over_time", "last_over_time", "resets")


class Layouts:
    """Makes texts from a random.Random."""

    def __init__(self, chance):
        self.chance = chance

    def one(self, *choices):
        return self.chance.choice(choices)

    def often(self, share):
        return self.chance.random() < share

    def gap(self):
        """Where spaces may be: any, or a comment."""
        return self.one("", "", " ", " ", "  ", "\n", "\t", " # why ( not\n" if self.often(0.1) else " ")

    def string(self):
        value = self.one(*VALUES)
        if self.often(0.2) and "\\" not in value:
            return f"`{value}`"
        return f'"{value}"' if self.often(0.7) or "'" in value else "'" + value.replace('\\"', '"') + "'"

    def name(self):
        return self.one(*METRICS)

    def matchers(self, most):
        found = []
        for _ in range(self.chance.randint(0, most)):
            label = self.one(*(name for name in LABELS if name != "__name__"))
            operator = self.one("=", "!=", "=~", "!~")
            value = self.string() if operator in "!=" else self.one('"a|b"', "'.+'", '"生产.*"', '"[0-9]{2}"')
            found.append(f"{label}{self.gap()}{operator}{self.gap()}{value}")
        return f"{self.gap()},{self.gap()}".join(found)

    def modifiers(self):
        offset = f" offset {self.one('', '-', '- ')}{self.one(*TIMES)}" if self.often(0.2) else ""
        pin = self.one(" @ 1700000000.5", " @ start()", " @ end()", " @ -1", " @ 1e9", " @1.0005"
                       ) if self.often(0.15) else ""
        return offset + pin if self.often(0.5) else pin + offset

    def bare(self):
        if self.often(0.1):
            return '{__name__=~"a.+"' + self.one("", "," + self.matchers(2).strip(",") if self.often(0.5) else "") + "}"
        inner = self.matchers(self.one(0, 1, 2, 5))
        return self.name() + (f"{self.gap()}{{{inner}}}" if inner or self.often(0.1) else "")

    def range(self, depth):
        if depth <= 0 or self.often(0.6):
            return f"{self.bare()}{self.gap()}[{self.one(*TIMES)}]{self.modifiers()}"
        inner = self.vector(depth - 1)
        if not self.takes_a_range(inner) or self.often(0.3):
            inner = f"({inner})"
        return f"{inner}[{self.one(*TIMES)}:{self.one('', *TIMES)}]{self.modifiers()}"

    @staticmethod
    def takes_a_range(text):
        """Would all of it be under the brackets?"""
        depth = 0
        for number, character in enumerate(text):
            depth += (character == "(") - (character == ")")
            if depth == 0 and character == ")":
                return number == len(text) - 1 and "#" not in text and text[0] not in "-+"
        return False

    def scalar(self, depth):
        if depth <= 0 or self.often(0.4):
            return self.one(self.one(*NUMBERS), f"{self.one('-', '+', '- ')}{self.one(*NUMBERS)}", "time()", "pi()")
        pick = self.chance.randrange(4)
        if pick == 0:
            return f"scalar({self.vector(depth - 1)})"
        if pick == 1:
            return f"{self.one('-', '+')}{self.one(f'({self.scalar(depth - 1)})', 'time()')}"
        if pick == 2:
            return f"({self.gap()}{self.scalar(depth - 1)}{self.gap()})"
        return f"({self.scalar(depth - 1)} {self.one(*OPERATORS)} {self.scalar(depth - 1)})"

    def names(self, least=0):
        labels = self.chance.sample(LABELS, self.chance.randint(least, 4))
        return f"({self.gap()}{f'{self.gap()},{self.gap()}'.join(labels)}{self.one('', ',') if labels else ''})"

    def grouping(self):
        return f" {self.one('by', 'without', 'BY')}{self.gap()}{self.names()}" if self.often(0.6) else ""

    def aggregation(self, depth):
        name, parameter, inner = self.one(*AGGREGATIONS), "", self.vector(depth - 1)
        if self.often(0.25):
            name = self.one("topk", "bottomk", "quantile", "count_values")
            parameter = '"value"' if name == "count_values" else self.scalar(self.one(0, 0, depth - 1))
        arguments = f"({self.gap()}{parameter + ',' if parameter else ''}{self.gap()}{inner}{self.gap()})"
        return name + (self.grouping() + arguments if self.often(0.6) else arguments + self.grouping())

    def matching(self, many):
        if self.often(0.4):
            return ""
        how = self.one("on", "ignoring")
        text = f" {how}{self.gap()}{self.names(1 if how == 'ignoring' else 0)}"
        if many and self.often(0.5):
            taken = ("zone", "version", "some_longer_label_name", "unless")
            include = self.chance.sample(taken, self.chance.randint(0, 3))
            text += self.one(" group_left", " group_right") + (f" ({', '.join(include)})" if include or self.often(0.5)
                                                               else "")
        return text

    def binary(self, depth):
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        pick = self.chance.randrange(4)
        if pick == 0:
            return f"{left} {self.one('and', 'or', 'unless')}{self.matching(False)} {right}"
        operator = self.one(*OPERATORS) if pick == 1 else self.one(*COMPARISONS) + self.one("", "", " bool")
        if self.often(0.3):
            sides = [left, self.scalar(depth - 1)]
            self.chance.shuffle(sides)
            return f"{sides[0]} {operator}{self.one('', '', ' on()')} {sides[1]}"
        return f"{left} {operator}{self.matching(True)} {right}"

    def call(self, depth):
        pick = self.chance.randrange(9)
        if pick < 2:
            return f"{self.one(*OF_VECTORS)}{self.gap()}({self.gap()}{self.vector(depth - 1)}{self.gap()})"
        if pick < 5:
            return f"{self.one(*OF_RANGES)}({self.range(depth - 1)})"
        if pick == 5:
            return f"histogram_quantile({self.scalar(self.one(0, depth - 1))},{self.gap()}{self.vector(depth - 1)})"
        if pick == 6:
            return f'label_replace({self.vector(depth - 1)}, "dst", {self.string()}, "src", "(.*)")'
        if pick == 7:
            sources = ", ".join(f'"{self.one("job", "instance", "zone")}"' for _ in range(self.chance.randint(0, 6)))
            return f'label_join({self.vector(depth - 1)}, "dst", "-"{", " + sources if sources else ""})'
        return self.one(lambda: f"round({self.vector(depth - 1)}, {self.scalar(depth - 1)})",
                        lambda: f"clamp({self.vector(depth - 1)}, {self.scalar(0)}, {self.scalar(depth - 1)})",
                        lambda: f"predict_linear({self.range(depth - 1)}, {self.scalar(depth - 1)})",
                        lambda: f"quantile_over_time({self.scalar(depth - 1)}, {self.range(depth - 1)})",
                        lambda: f"vector({self.scalar(depth - 1)})",
                        lambda: "hour()")()

    def vector(self, depth):
        if depth <= 0 or self.often(0.1):
            return self.bare() + self.modifiers()
        pick = self.chance.choices((self.binary, self.aggregation, self.call, self.wrapped, self.signed),
                                   (5, 4, 5, 3, 1))[0]
        return pick(depth)

    def wrapped(self, depth):
        return f"({self.gap()}{self.vector(depth - 1)}{self.gap()})"

    def signed(self, depth):
        return f"{self.one('-', '-', '+', '- ')}{self.vector(depth - 1)}"

    def make(self):
        depth = self.one(1, 2, 3, 4, 5, 6, 7)
        if self.often(0.05):
            return self.range(depth)
        return self.scalar(depth) if self.often(0.08) else self.vector(depth)


INFINITE_BASE = re.compile(r"\bInf\s*\^")


def layouts(seed, count):
    for number in range(count):
        text = Layouts(random.Random(f"{seed}/{number}")).make()
        if not INFINITE_BASE.search(text):
            yield text


def laid_out(side, text):
    """A side's layout (differential.py), or its error."""
    _, body = side.post("/api/v1/format_query", urllib.parse.urlencode({"query": text}),
                        "application/x-www-form-urlencoded")
    answer = json.loads(body)
    return answer.get("data"), answer.get("error", "").replace('"<Item 57385>" ', "")  # 3 names the token @


def compare_layouts(both, seed, count, most=5):
    """What differs, and counts: texts asked, refused by both, broken over lines, lines of the longest."""
    told, counts = [], {"asked": 0, "refused": 0, "broken": 0, "longest": 0}
    for text in layouts(seed, count):
        ours, theirs = (laid_out(side, text) for side in both)
        counts["asked"] += 1
        counts["refused"] += theirs[0] is None
        lines = (theirs[0] or "").count("\n") + 1
        counts["broken"] += lines > 1
        counts["longest"] = max(counts["longest"], lines)
        if ours != theirs and len(told) < most:
            told.append(f"{text!r}\n  ours\n{ours[0] or ours[1]}\n  theirs\n{theirs[0] or theirs[1]}")
    return told, counts
