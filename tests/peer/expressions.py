"""expressions.py - random PromQL expressions from a grammar, and what is left of them when they fail.

An expression is a tree of nodes; a node has a type (vector, scalar, range) and parts: texts, nodes,
and Maybe texts that may be left out.  `Maker` makes them, `smaller` gives what a node could be cut
down to while it keeps its type.

What is made is such that two right implementations agree on it:

- Evaluation times end on half a second, samples lie on quarters, ranges and steps are whole
  seconds, so that no window begins or ends on a sample (Prometheus 2 closes windows on the left,
  3 does not).  A subquery's steps are whole seconds: a subquery in it has ranges of half seconds.
- Where a last bit could decide (==, floor, count_values, %), the operands are `exact`: sums and
  choices of samples, which are eighths of small numbers.  Comparisons of others have a literal
  that nothing meets.
- topk and its like choose among `distinct` series: no two of one metric have one value.
- rate and increase see counters that start high: the order in which Prometheus cuts the way back
  to zero changed between 2 and 3.
- Faults of the peer that were mended in 3 are not met: stddev of one NaN or Inf was 0, a sum of one
  -0 kept its sign, atan2 the name; predict_linear moved a window that @ holds and made NaN of Inf;
  count_values grouped wrongly by labels that sort after its own; a pinned subquery with a step
  longer than its range had a step after its end.  One that was not: timestamp() forgets an offset
  beside @.  What Go leaves to the processor (dates of NaN) is not asked.
"""
import random

GAUGES = ("g", "h", "g2")
COUNTERS = ("c_total", "d_total")
FINITE = ("g2", "d_total")
LABELS = ("job", "instance", "zone")
MATCHERS = ('job="a"', 'job!="a"', 'instance=~"i[0-2]"', 'instance!~"i1|i3"', 'zone="z0"',
            'zone=""', 'zone!=""', 'instance="i2"', 'job=~".+"', 'instance=~".*1$"',
            'nothing=~".*"', 'nothing!~".+"', 'zone=~"|z1"', 'instance=~"(i0|i4)"',
            'instance!="i9"')
RANGES = (20, 45, 60, 95, 150, 300, 431, 900)
STEPS = {"": 60, "15s": 15, "30s": 30, "60s": 60, "7s": 7, "1m13s": 73}
ANY_OVER_TIME = ("avg_over_time", "stddev_over_time", "stdvar_over_time", "deriv")
EXACT_OVER_TIME = ("min_over_time", "max_over_time", "sum_over_time", "count_over_time",
                   "last_over_time", "present_over_time", "changes", "resets", "idelta")
MATHS = ("sqrt", "exp", "ln", "log2", "log10", "abs", "sgn", "deg", "rad", "sin", "cos", "tan",
         "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh")
EXACT_MATHS = ("ceil", "floor", "abs", "sgn", "round")
DATES = ("minute", "hour", "month", "year", "day_of_month", "day_of_week", "day_of_year",
         "days_in_month")


class Maybe(str):
    """A part that may be left out."""


class Node:
    def __init__(self, kind, *parts, exact=False):
        self.kind, self.parts, self.exact = kind, parts, exact

    def __str__(self):
        return "".join(map(str, self.parts))


def at(value):
    return f"{value:.3f}"


class Maker:
    """Makes expressions from a random.Random; `begin` and `end`: whole Unix seconds of the data."""

    def __init__(self, chance, begin, end):
        self.chance, self.begin, self.end = chance, begin, end

    def one(self, *choices):
        return self.chance.choice(choices)

    def often(self, share):
        return self.chance.random() < share

    # -- leaves

    def modifiers(self, pins=True):
        """offset and @ in either order; (parts, whether times then end on half seconds)."""
        offset = Maybe(f" offset {self.one('', '-')}{self.one(15, 60, 90, 333)}s"
                       ) if self.often(0.15) else ""
        pin = ""
        if pins and self.often(0.12):
            time = self.chance.randint(self.begin - 60, self.end + 120) + 0.5
            pin = Maybe(self.one(f" @ {at(time)}", " @ start()", " @ end()"))
        parts = (offset, pin) if self.often(0.5) else (pin, offset)
        return parts, bool(pin)

    def name_and_matchers(self, names):
        matchers = self.chance.sample(MATCHERS, self.one(0, 0, 0, 1, 1, 2))
        if self.often(0.04) and names != FINITE:
            pattern = self.one("(c|d)_total", "c_.+", "d.*|nope", *(
                () if names == COUNTERS else ("g|h", "g.?", "[ghc].*")))
            return "{" + ",".join([f'__name__=~"{pattern}"', *matchers]) + "}"
        name = self.one(*names)
        return name + ("{" + ",".join(matchers) + "}" if matchers else "")

    def selector(self, names=GAUGES + COUNTERS):
        return Node("vector", self.name_and_matchers(names), *self.modifiers()[0], exact=True)

    def number(self):
        return self.one("0", "1", "2", "0.5", "-1", "3.25", "100", "1e3", "0x1F", "NaN", "Inf", "-Inf",
                        "1024", "60")

    def odd(self):
        """A number that no sample and no sum of them is."""
        return f"{self.chance.uniform(-300, 3000):.7f}"

    # -- ranges

    def range(self, depth, half, names=GAUGES + COUNTERS, exact=True, counter=False, pins=True):
        seconds = self.one(*RANGES)
        if depth <= 0 or self.often(0.7):
            return Node("range", self.name_and_matchers(names), f"[{seconds}s]",
                        *self.modifiers(pins)[0], exact=True)
        modifiers, pinned = self.modifiers(pins)
        inner = Node("vector", "sum by (job, instance) (c_total)", exact=True) if counter \
            else self.vector(depth - 1, False, exact)
        step = self.one(*(text for text, length in STEPS.items() if length < seconds))
        window = f"{seconds}s" if half or pinned else f"{seconds}s500ms"
        return Node("range", "(", inner, ")", f"[{window}:{step}]", *modifiers,
                    exact=inner.exact)

    # -- scalars

    def scalar(self, depth, half):
        if depth <= 0 or self.often(0.6):
            return Node("scalar", self.one(self.number(), self.number(), "time()", "pi()"))
        pick = self.chance.randrange(4)
        if pick == 0:
            return Node("scalar", "scalar(", self.vector(depth - 1, half), ")")
        if pick == 1:
            return Node("scalar", "-", Node("scalar", "(", self.scalar(depth - 1, half), ")"))
        if pick == 2:
            return Node("scalar", "(", self.scalar(depth - 1, half),
                        self.one(" == bool ", " > bool ", " <= bool ", " != bool "), self.odd(), ")")
        return Node("scalar", "(", self.scalar(depth - 1, half),
                    self.one(" + ", " - ", " * ", " / ", " ^ "), self.scalar(depth - 1, half), ")")

    # -- vectors

    def vector(self, depth, half=True, exact=False):
        if depth <= 0 or self.often(0.08):
            return self.selector()
        kinds = [(self.aggregation, 5), (self.over_time, 5), (self.binary, 5), (self.set_operation, 2),
                 (self.compared, 3), (self.chosen, 1), (self.exact_math, 1), (self.relabelled, 1),
                 (self.negative, 1), (self.absence, 1), (self.counted, 1)]
        if not exact:
            kinds += [(self.rate, 5), (self.math, 2), (self.date, 1), (self.mixed, 4),
                      (self.quantile, 2), (self.histogram, 2), (self.from_scalar, 1),
                      (self.with_number, 2)]
        make = self.chance.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        return make(depth - 1, half, exact)

    def grouping(self):
        if self.often(0.25):
            return ""
        labels = self.chance.sample(LABELS + ("nothing",), self.one(0, 1, 1, 2, 3))
        return Maybe(f" {self.one('by', 'without')} ({', '.join(labels)})")

    def aggregation(self, depth, half, exact):
        names = ("sum", "min", "max", "count", "group") + (() if exact else (
            "avg", "stddev", "stdvar", "sum"))
        name, inner = self.one(*names), self.vector(depth, half, exact)
        if name.startswith("std"):
            inner = Node("vector", "(", inner, ") < 1e300 > -1e300")
        is_exact = name in ("count", "group") or (inner.exact and name in ("sum", "min", "max"))
        if self.often(0.5):
            return Node("vector", name, self.grouping(), " (", inner, ")", exact=is_exact)
        return Node("vector", name, "(", inner, ")", self.grouping(), exact=is_exact)

    def chosen(self, _depth, _half, _exact):
        return Node("vector", self.one("topk", "bottomk"), self.grouping(), "(",
                    self.one("1", "2", "3", "0", "-1", "99", "2.7"), ", ",
                    Node("vector", self.name_and_matchers(GAUGES + COUNTERS), exact=True), ")",
                    exact=True)

    def counted(self, depth, half, _exact):
        inner = self.vector(min(depth, 1), half, True)
        if not inner.exact:
            inner = self.selector()
        return Node("vector", "count_values", self.grouping(), '("zzz", ', inner, ")", exact=True)

    def quantile(self, depth, half, exact):
        phi = self.one("0", "0.5", "0.9", "1", "-1", "2", "NaN", "0.25")
        if self.often(0.5):
            return Node("vector", "quantile", self.grouping(), f"({phi}, ",
                        self.vector(depth, half, exact), ")")
        return Node("vector", f"quantile_over_time({phi}, ", self.range(depth, half), ")")

    def over_time(self, depth, half, exact):
        inner = self.range(depth, half, exact=exact)
        if not exact and self.often(0.4):
            name = self.one(*ANY_OVER_TIME)
            if name == "deriv":
                inner = self.range(0, half, FINITE)
            return Node("vector", name, "(", inner, ")")
        name = self.one(*EXACT_OVER_TIME)
        if name in ("changes", "resets") and not inner.exact:
            inner = self.range(0, half)
        return Node("vector", name, "(", inner, ")", exact=inner.exact)

    def rate(self, depth, half, _exact):
        name = self.one("rate", "rate", "increase", "irate", "delta", "predict_linear", "holt_winters")
        if name in ("rate", "increase", "irate"):
            return Node("vector", name, "(", self.range(depth, half, COUNTERS, counter=True), ")")
        extra = {"predict_linear": ", " + self.one("60", "-3600", "0.5"),
                 "holt_winters": ", 0.3, 0.6"}.get(name, "")
        inner = self.range(0, half, FINITE, pins=False) if name == "predict_linear" else \
            self.range(0 if name == "holt_winters" else depth, half)
        return Node("vector", name, "(", inner, extra, ")")

    def math(self, _depth, half, _exact):
        inner = self.vector(1, half, True)
        return Node("vector", self.one(*MATHS), "(", inner, ")")

    def exact_math(self, depth, half, _exact):
        inner = self.vector(depth, half, True)
        if not inner.exact:
            inner = self.selector()
        pick = self.chance.randrange(4)
        if pick == 0:
            return Node("vector", "clamp(", inner, ", ", self.number(), ", ", self.number(), ")", exact=True)
        if pick == 1:
            return Node("vector", self.one("clamp_min", "clamp_max"), "(", inner, ", ", self.number(),
                        ")", exact=True)
        if pick == 2:
            return Node("vector", "timestamp(", Node("vector", self.name_and_matchers(GAUGES + COUNTERS),
                                                     *self.modifiers(False)[0]), ")", exact=True)
        if self.often(0.2):
            return Node("vector", "round(", inner, ", ", self.one("5", "0.25", "0.1", "-2", "0"), ")")
        return Node("vector", self.one(*EXACT_MATHS), "(", inner, ")", exact=True)

    def date(self, _depth, _half, _exact):
        inner = self.one("", Node("vector", self.name_and_matchers(GAUGES), " < 1e9 > -1e9", exact=True),
                         Node("vector", "timestamp(g) * 37", exact=True))
        return Node("vector", self.one(*DATES), "(", inner, ")", exact=True)

    def from_scalar(self, depth, half, _exact):
        return Node("vector", "vector(", self.scalar(depth, half), ")")

    def negative(self, depth, half, exact):
        inner = self.vector(depth, half, exact)
        return Node("vector", "-", Node("vector", "(", inner, ")", exact=inner.exact), exact=inner.exact)

    def absence(self, depth, half, exact):
        if self.often(0.4):
            return Node("vector", "absent_over_time(", self.range(depth, half), ")", exact=True)
        inner = self.selector(("nope", "g")) if self.often(0.6) else self.vector(depth, half, exact)
        return Node("vector", "absent(", inner, ")", exact=True)

    def relabelled(self, depth, half, exact):
        inner = self.vector(depth, half, exact)
        if self.often(0.3):
            tail = f', "{self.one("new", "job", "zone")}", "{self.one("-", "")}", "job", "instance")'
            return Node("vector", "label_join(", inner, tail, exact=inner.exact)
        tail = self.one(', "new", "x$1", "instance", "i(.*)")', ', "job", "", "job", ".*")',
                        ', "zone", "$1-$2", "instance", "(i)([0-9]+)")', ', "job", "k", "zone", "z1")',
                        ', "new", "${1}y$$", "job", "(?:(a)|b)")', ', "new", "$9", "job", "(.)")',
                        ', "instance", "same", "instance", "i.*")')
        return Node("vector", "label_replace(", inner, tail, exact=inner.exact)

    def histogram(self, _depth, half, _exact):
        inner = self.one("lat_bucket", "rate(lat_bucket[3m])", "increase(lat_bucket[10m])",
                         "lat_bucket offset 5m")
        group = self.one(None, "le", "le, job", "le, instance", "job")
        text = inner if group is None else f"sum by ({group}) ({inner})"
        return Node("vector", "histogram_quantile(", self.one("0.5", "0.99", "0", "1", "-1", "2", "NaN", "0.1"),
                    ", ", Node("vector", text), ")")

    # -- operators

    def matching(self, many=True):
        if self.often(0.3):
            return ""
        how = self.one("on", "ignoring")
        labels = self.chance.sample(LABELS, self.one(0, 1, 1, 2, 2, 3))
        text = f" {how} ({', '.join(labels)})"
        if many and self.often(0.45):
            free = [label for label in ("zone", "version", "nothing")
                    if how == "ignoring" or label not in labels]
            include = self.chance.sample(free, min(len(free), self.one(0, 0, 1, 2)))
            text += f" {self.one('group_left', 'group_right')} ({', '.join(include)})"
        return Maybe(text)

    def side(self, depth, half, exact):
        return Node("vector", "(", self.vector(depth, half, exact), ")") if not exact else \
            self.vector_in_parens(depth, half)

    def vector_in_parens(self, depth, half):
        inner = self.vector(depth, half, True)
        return Node("vector", "(", inner, ")", exact=inner.exact)

    def binary(self, depth, half, exact):
        left, right = self.side(depth, half, True), self.side(depth, half, exact)
        operator = self.one("+", "-") if exact else self.one("+", "-", "*", "/", "atan2")
        if operator == "atan2":  # 2 forgot to drop the name
            left, right = (Node("vector", "(", side, " * 1)") for side in (left, right))
        return Node("vector", left, f" {operator}", self.matching(), " ", right,
                    exact=left.exact and right.exact and operator in "+-")

    def mixed(self, depth, half, exact):
        """A comparison of two vectors, or an operator that needs exact operands."""
        left, right = self.vector_in_parens(depth, half), self.vector_in_parens(depth, half)
        if not (left.exact and right.exact):
            left, right = self.selector(), self.selector()
        operator = self.one("==", "!=", ">", "<", ">=", "<=", "> bool", "== bool", "%", "^", "<= bool")
        return Node("vector", left, f" {operator}", self.matching(), " ", right)

    def with_number(self, depth, half, _exact):
        inner, number = self.side(depth, half, False), self.scalar(1, half)
        operator = self.one(" + ", " - ", " * ", " / ")
        return Node("vector", inner, operator, number) if self.often(0.6) else \
            Node("vector", number, operator, inner)

    def compared(self, depth, half, exact):
        inner = self.side(depth, half, exact)
        operator = self.one("==", "!=", ">", "<", ">=", "<=") + self.one("", "", " bool")
        sides = [inner, f" {operator} ", self.odd()]
        return Node("vector", *(sides if self.often(0.7) else reversed(sides)), exact=inner.exact)

    def set_operation(self, depth, half, exact):
        left, right = self.side(depth, half, exact), self.side(depth, half, exact)
        return Node("vector", left, f" {self.one('and', 'or', 'unless')}", self.matching(False), " ",
                    right, exact=left.exact and right.exact)

    def make(self):
        """A whole expression; instant queries may have ranges."""
        if self.often(0.03):
            return self.range(2, True)
        if self.often(0.03):
            return self.scalar(3, True)
        vector = self.vector(self.one(1, 2, 2, 3, 3, 4))
        if self.often(0.04):
            return Node("vector", self.one("sort", "sort_desc"), "(", vector, ")")
        return vector


def smaller(node):
    """Nodes of the same type with less in them, the smallest first."""
    for inner in sorted(nodes_in(node), key=lambda n: len(str(n))):
        if inner is not node and inner.kind == node.kind:
            yield inner
    for index, part in enumerate(node.parts):
        if isinstance(part, Maybe) and part:
            yield Node(node.kind, *node.parts[:index], "", *node.parts[index + 1:])
        if isinstance(part, Node):
            for less in smaller(part):
                yield Node(node.kind, *node.parts[:index], less, *node.parts[index + 1:])


def nodes_in(node):
    yield node
    for part in node.parts:
        if isinstance(part, Node):
            yield from nodes_in(part)


def minimise(node, fails, tries=300):
    """The smallest expression found that still `fails(text)`."""
    for _ in range(50):
        for less in smaller(node):
            tries -= 1
            if tries < 0:
                return node
            if len(str(less)) < len(str(node)) and fails(str(less)):
                node = less
                break
        else:
            return node
    return node


def expressions(seed, count, begin, end):
    """`count` of them, each with a random.Random of its own, so that one can be made again."""
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        yield number, Maker(chance, begin, end).make(), chance
