"""Templates beside promtool and amtool: the same texts through Go's engine and through ours.

Rules: promtool says what each annotation becomes, and `fengsuictl test rules` must find the same.
Messages: amtool renders a text over a message, and a mail of ours over the same alerts must hold it,
as text and as page.

Where we differ on purpose: a whole number is compared with a float, functions of later versions are
there, and a name that is nowhere defined is an error when the file is read.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import alert_kit as kit
from fengsui import Lab, SKIPPED, run_tests, wait_for

CTL = os.path.join(os.environ.get("FENGSUI_BUILD", "build/release"), "fengsuictl")

RULE_TEXTS = r"""
{{ $labels.instance }} {{ .Value }} {{ $value | humanize }} {{ $externalLabels }}
{{ with query "disk > 0.3" }}{{ . | first | value }} {{ . | first | label "mount" }}{{ end }}
{{ range query "disk" | sortByLabel "mount" }}{{ .Labels.mount }}={{ .Value }};{{ end }}
{{ range $i, $s := sortByLabel "mount" (query "disk") }}{{ $i }}:{{ label "mount" $s }} {{ end }}
{{ query "nothing" | len }} {{ if query "nothing" }}a{{ else }}b{{ end }}
{{ with printf "disk{mount=\"%s\"}" "/a" | query }}{{ . | first | value | humanizePercentage }}{{ end }}
{{ query "disk" | first | label "nope" }}|{{ (query "scalar(sum(disk))" | first).Value }}
{{ query "'text'" | first | strvalue }}
{{ first (query "nothing") }}
{{ query "sum(" }}
{{ define "t" }}[{{ . }}]{{ end }}{{ template "t" $value }}{{ template "t" $labels.job }}
{{ define "u" }}{{ .arg0 }}+{{ .arg1 }}{{ end }}{{ template "u" (args 1 "b") }}
{{ block "b" . }}{{ .Labels.job }}{{ end }}
{{ template "nowhere" }}
{{ range $k, $v := $labels }}{{ if eq $k "instance" }}{{ continue }}{{ end }}{{ $k }}={{ $v }},{{ end }}
{{ range $labels }}{{ . }}{{ break }}{{ end }}
{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $y }}{{ end }}{{ $x }}
{{ if and (gt $value 1.0) (lt $value 100.0) (ne $labels.job "x") }}yes{{ else if not true }}no{{ end }}
a {{- /* trimmed */ -}} b {{- "c" -}}
{{/* only this */}}|{{- "x" }} |
{{ printf "%d %5d|%-5d|%05d|%+d|% d|%x|%X|%#x|%o|%#o|%O|%b|%c|%q|%U" 42 42 42 42 42 42 42 42 42 42 42 42 42 20013 97 20013 }}
{{ printf "%s|%8s|%-8s|%.2s|%q|%x|%X|% x|%v|%08d|%-08d|%x" "up" "中文" "ab" "中文字" "a\"b\n" "hi" "hi" "hi" "v" -5 -5 -255 }}
{{ printf "%f|%.0f|%8.3f|%-9.2f|%09.2f|%+.1f|% .1f|%e|%.3E|%g|%.3g|%G|%v|%6.1f%%" $value 2.5 $value $value -2.5 2.5 2.5 $value $value $value $value 1e21 $value 99.96 }}
{{ printf "%v %v %v %.2f %5v %d" true nil "a" 1e100 $value 7 }}
{{ printf "%d|%s|%t|%f|%q" "up" 5 1 "a" 1.5 }}|{{ printf "%d %d" 1 }}|{{ printf "%d" 1 2 "x" }}|{{ printf "%" }}|{{ printf "%!" }}|{{ printf "%z" 1 }}
{{ printf "%[2]d %[1]d|%[3]*.[2]*[1]f|%[5]d|%*d|%-*d|" 12.0 2 6 }}
{{ printf "%6.2f|%[1]v|%T %T %T %T" 12.345 1 "s" true }}
{{ printf "%v %s" $labels (printf "%q" $labels.job) }}
{{ print 1 2 "a" "b" 3 4.5 }}|{{ println "x" 1 }}|{{ print }}
{{ 1234567 | humanize }} {{ 0.00012 | humanize }} {{ humanize1024 1048577 }} {{ -1234.5 | humanize }} {{ humanize "1e3" }}
{{ humanizeDuration 0 }} {{ humanizeDuration 0.0012 }} {{ humanizeDuration 59.99 }} {{ humanizeDuration 61 }} {{ humanizeDuration 90061 }} {{ humanizeDuration -1.5 }} {{ humanizeDuration "3600" }}
{{ humanizePercentage 0.12345 }} {{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp 0 }}
{{ humanize "abc" }}
{{ toTime 1435065584.128 }} {{ (toTime 1435065584).Format "2006-01-02T15:04:05Z07:00" }}
{{ (1435065584.5 | toTime).Format "Mon Jan _2 15:04:05.000 2006 pm PM 3 03 06 1 01 MST -0700 002" }}
{{ (toTime 1.7e9).Year }}-{{ (toTime 1.7e9).Month }} {{ (toTime 1.7e9).Weekday }} {{ (toTime 1.7e9).Hour }} {{ (toTime 1.7e9).Unix }}
{{ ((toTime 1.7e9).Add 28800000000000).Format "15:04" }} {{ (toTime 90).Sub (toTime 0) }} {{ ((toTime 3725.5).Sub (toTime 0)).Minutes }}
{{ parseDuration "1h30m" }} {{ parseDuration "1d" | humanizeDuration }}
{{ parseDuration "never" }}
{{ title "hello big world" }} {{ toUpper "aé中" | len }} {{ toLower "ABC" }}
{{ match "^a.*z$" "abcz" }} {{ match "q" "abc" }} {{ reReplaceAll "(.*):\\d+" "$1!" "host:9100" }} {{ reReplaceAll "a(b)?" "<$1>" "abaa" }}
{{ match "(" "x" }}
{{ stripPort "host:9100" }} {{ stripPort "[::1]:80" }} {{ stripPort "host" }} {{ stripPort "a:b:c" }} {{ stripPort ":80" }}
{{ graphLink "up{a=\"b\"} > 1" }} {{ tableLink "sum(up) / 2" }}
{{ $externalURL }} {{ .ExternalURL }}
{{ safeHtml "<b>" }} {{ html "<a href='x'>&" }} {{ js "it's \"<x>\"" }} {{ urlquery "a b/c?d=1&e" "f" }}
{{ len "中文" }} {{ len $labels }} {{ index $labels "job" }} {{ slice "abcdef" 1 3 }} {{ slice "abc" 1 }}
{{ index $labels "nope" }}|{{ $labels.nope }}|{{ .Labels.job }}
{{ "\u4e2d\t\x41\101\\" }}{{ `raw\n` }}{{ 'a' }}{{ '\n' }}{{ '中' }} {{ 0x1F }} {{ 017 }} {{ 1e3 }} {{ 1.5e-7 }} {{ 0b101 }} {{ 1_000 }}
{{ true }} {{ false }} {{ not 0 }} {{ and 1 0 2 }} {{ or 0 "" "x" }} {{ and }}
{{ eq 1 1 }} {{ eq "a" "b" "a" }} {{ ne 1 2 }} {{ le 1 1 }} {{ ge 2.5 1.5 }} {{ lt "a" "b" }}
{{ with $x := 5 }}{{ $x }}{{ . }}{{ else }}no{{ end }} {{ with "" }}a{{ else }}b{{ end }}
{{ if $labels.nope }}a{{ else if $labels.job }}{{ $labels.job }}{{ else }}c{{ end }}
{{ (printf "%s" "x") | printf "%s%s" "y" }} {{ "a" | printf "%q" | len }}
{{ range $i, $e := (query "disk" | sortByLabel "mount") }}{{ if $i }}, {{ end }}{{ $e.Labels.mount }}{{ end }}
"""

MESSAGE_TEXTS = r"""
{{ .Receiver }} {{ .Status }} {{ .ExternalURL }} {{ len .Alerts }} {{ len .Alerts.Firing }} {{ .Alerts.Resolved | len }}
{{ range .Alerts.Firing }}{{ .Labels.host }} {{ .Status }} {{ .Fingerprint }} {{ .GeneratorURL }};{{ end }}
{{ range .Alerts.Resolved }}{{ .Labels.host }} {{ .StartsAt }} {{ .EndsAt }} {{ .EndsAt.Sub .StartsAt }};{{ end }}
{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}
{{ .CommonLabels.SortedPairs.Names }} {{ .CommonLabels.Names | join "," }} {{ .CommonLabels.Values | join "/" }} {{ .GroupLabels.SortedPairs.Values | join " " }}
{{ (.CommonLabels.Remove .GroupLabels.Names).Values | join "," }} {{ (.CommonLabels.Remove (stringSlice "team")).Names }}
{{ stringSlice "team" | .CommonLabels.Remove }} {{ .CommonLabels }} {{ .GroupLabels.alertname }}{{ .GroupLabels.nope }}
{{ .CommonAnnotations.summary }} {{ (index .Alerts 0).Annotations.summary }} {{ (index .Alerts 1).Labels.host | toUpper }}
{{ range .Alerts }}{{ .StartsAt.Format "2006-01-02 15:04:05" }} {{ .StartsAt.UTC.Unix }} {{ (.StartsAt.Add 28800e9).Format "15:04:05" }};{{ end }}
{{ define "line" }}{{ .Labels.host }}:{{ range $k, $v := .Annotations }}{{ $k }}={{ $v }}{{ end }}{{ end }}{{ range .Alerts }}{{ template "line" . }} {{ end }}
{{ template "site.line" . }}{{ template "site.empty" }}|{{ template "__site" "x" }}
{{ range $i, $a := .Alerts }}{{ if gt $i 0 }}{{ break }}{{ end }}{{ $a.Labels.host }}{{ end }}
{{ if eq .Status "firing" }}{{ if gt (len .Alerts.Firing) 0 }}red{{ end }}{{ end }}{{ with .CommonLabels.team }}{{ . | title }}{{ end }}
{{ reReplaceAll "d(.)" "<$1>" .CommonLabels.team }} {{ match "^d" .CommonLabels.team }} {{ title "ab cd" }} {{ join "-" (stringSlice "a" "b") }} {{ safeHtml "<i>" }}
{{ .CommonAnnotations.markup }} <a href="http://h/?q={{ .CommonAnnotations.markup }}">{{ .CommonLabels.team }}</a> <a href="{{ .ExternalURL }}">x</a> <p title="{{ .CommonAnnotations.markup }}">
<a href="{{ .CommonAnnotations.bad }}">bad</a> <a href='{{ .CommonAnnotations.markup }}'>odd</a> {{ .CommonAnnotations.markup | safeHtml }} {{ printf "%s" "<u>" }} {{ "a+b" }}
"""

SITE = r"""{{ define "site.line" }}{{ range .Alerts }}({{ .Labels.host }}){{ end }}{{ end }}
{{ define "site.empty" }}{{ end }}{{ define "__site" }}{{ . }}{{ . }}{{ end }}"""

ALERTING = """
route: {receiver: desk, group_by: [alertname], group_wait: 200ms, group_interval: 300ms}
templates: ['templates/*.tmpl']
receivers:
- name: desk
  email_configs:
  - to: desk@example.org
    from: fengsui@example.org
    smarthost: 127.0.0.1:%d
    require_tls: false
    send_resolved: true
    headers: {Subject: '{{ template "site.line" . }}', X-Own: '{{ template "email.default.subject" . }}'}
    text: %s
    html: %s
"""


def cases(text):
    return [line for line in text.strip("\n").split("\n") if line]


def promtool_values(folder, texts):
    """What promtool makes of each text: it shows all annotations when none was expected."""
    annotations = {f"a{i:03d}": text for i, text in enumerate(texts)}
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": [
        {"alert": "T", "expr": "up > 0", "annotations": annotations}]}]}, ensure_ascii=False))
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [{
        "external_url": "https://console.example/fengsui",
        "input_series": [{"series": 'up{instance="db1:9100",job="node"}', "values": "12.5x5"},
                         {"series": 'disk{mount="/b"}', "values": "0.25x5"},
                         {"series": 'disk{mount="/a"}', "values": "0.5x5"}],
        "alert_rule_test": [{"eval_time": "2m", "alertname": "T", "exp_alerts": []}]}]}
    (folder / "test.yml").write_text(json.dumps(test, ensure_ascii=False))
    done = subprocess.run(["promtool", "test", "rules", str(folder / "test.yml")], text=True,
                          capture_output=True, timeout=60, check=False)
    shown = re.search(r"Annotations:\{(.*)\}", done.stdout + done.stderr)
    assert shown, done.stdout + done.stderr
    pairs = re.findall(r'(a\d\d\d)="((?:[^"\\]|\\.)*)"', shown.group(1))
    return test, {name: unquote(value) for name, value in pairs}


def unquote(text):
    """Go's strconv.Quote undone."""
    def one(match):
        word = match.group(1)
        if word[0] in "xuU":
            return chr(int(word[1:], 16))
        return {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f",
                "v": "\v"}.get(word, word)
    return re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", one, text)


def test_rules_say_what_promtool_makes_of_them():
    with Lab() as lab:
        texts = cases(RULE_TEXTS)
        test, values = promtool_values(lab.folder, texts)
        # an error is an error on both sides; its words are Go's there and ours here
        good = {n: v for n, v in values.items() if "<error expanding template" not in v}
        bad = [t for i, t in enumerate(texts)
               if "<error expanding template" in values.get(f"a{i:03d}", "")]
        assert len(bad) >= 5 and len(good) > 45, (bad, good)
        annotations = {n: texts[int(n[1:])] for n in good}
        rules = [{"alert": "T", "expr": "up > 0", "annotations": annotations}]
        (lab.folder / "rules.yml").write_text(json.dumps(
            {"groups": [{"name": "g", "rules": rules}]}, ensure_ascii=False))
        case = test["tests"][0]["alert_rule_test"][0]
        case["exp_alerts"] = [{"exp_labels": {"instance": "db1:9100", "job": "node"},
                               "exp_annotations": good}]
        (lab.folder / "test.yml").write_text(json.dumps(test, ensure_ascii=False))
        for tool in (["promtool"], [CTL, "--lang", "en"]):
            done = subprocess.run([*tool, "test", "rules", str(lab.folder / "test.yml")],
                                  text=True, capture_output=True, timeout=60, check=False)
            assert done.returncode == 0, explain(done.stdout + done.stderr, good, texts)
        case["exp_alerts"] = []
        for text in bad:  # each alone, for what it says is ours
            rules[0]["annotations"] = {"a": text}
            (lab.folder / "rules.yml").write_text(json.dumps(
                {"groups": [{"name": "g", "rules": rules}]}, ensure_ascii=False))
            (lab.folder / "test.yml").write_text(json.dumps(test, ensure_ascii=False))
            done = subprocess.run([CTL, "--lang", "en", "test", "rules",
                                   str(lab.folder / "test.yml")], text=True, capture_output=True,
                                  timeout=60, check=False)
            assert "<error expanding template" in done.stdout + done.stderr, (text, done)


def explain(output, good, texts):
    """The texts whose value is not in what was printed."""
    wrong = [(texts[int(n[1:])], v) for n, v in good.items()
             if json.dumps(v, ensure_ascii=False)[1:-1] not in output and v not in output]
    return "\n".join([output[:4000], "not found:"] + [f"{t}\n    -> {v!r}" for t, v in wrong])


LABELS = {"alertname": "DiskFull", "team": "db"}
NOTES = {"summary": "磁盘 <满>", "markup": "<b>&\"'+ x", "bad": "javascript:alert(1)"}
STARTS, ENDS = "2026-03-01T02:03:04.5Z", "2026-03-01T03:04:05.25Z"


def alert(host, status):
    return {"status": status, "labels": {**LABELS, "host": host}, "annotations": NOTES,
            "startsAt": STARTS, "endsAt": ENDS if status == "resolved" else
            "0001-01-01T00:00:00Z", "generatorURL": f"http://example.org/{host}",
            "fingerprint": {"h1": "7a5bdcf4e1a9b5d1"}.get(host, "")}


def amtool_texts(folder, texts, kind, fingerprints):
    alerts = [alert("h1", "firing"), alert("h2", "resolved")]
    for one in alerts:
        one["fingerprint"] = fingerprints[one["labels"]["host"]]
    data = {"receiver": "desk", "status": "firing", "alerts": alerts,
            "groupLabels": {"alertname": "DiskFull"}, "commonLabels": LABELS,
            "commonAnnotations": NOTES, "externalURL": "https://console.example/fengsui"}
    (folder / "data.json").write_text(json.dumps(data))
    done = subprocess.run(
        ["amtool", "template", "render", f"--template.glob={folder}/collector/templates/*.tmpl",
         f"--template.text={joined(texts)}", f"--template.type={kind}",
         f"--template.data={folder}/data.json"], text=True, capture_output=True, timeout=30,
        check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def joined(texts):
    return "".join(f"[[{i}]] {text}\n" for i, text in enumerate(texts))


def differences(texts, theirs, ours):
    found = []
    for i, text in enumerate(texts):
        pattern = re.compile(rf"\[\[{i}\]\] (.*?)(?=\n\[\[{i + 1}\]\]|\Z)", re.S)
        pair = [pattern.search(side.rstrip("\n")) for side in (theirs, ours)]
        if pair[0] is None or pair[1] is None or pair[0].group(1) != pair[1].group(1):
            found.append(f"{text}\n  theirs: {pair[0] and pair[0].group(1)!r}\n"
                         f"  ours:   {pair[1] and pair[1].group(1)!r}")
    return "\n".join(found)


def post(collector, *alerts):
    keys = ("labels", "annotations", "startsAt", "endsAt", "generatorURL")
    body = json.dumps([{k: a[k] for k in keys} for a in alerts]).encode()
    status, _ = collector.request("POST", "/api/v2/alerts", body,
                                  {"Content-Type": "application/json"})[:2]
    assert status == 200, status


def test_messages_say_what_amtool_renders():
    mail = kit.Mail()
    with Lab() as lab:
        texts = cases(MESSAGE_TEXTS)
        folder = lab.folder / "collector"
        (folder / "templates").mkdir(parents=True)
        (folder / "templates" / "site.tmpl").write_text(SITE)
        (folder / "alerting.yml").write_text(ALERTING % (
            mail.port, json.dumps(joined(texts), ensure_ascii=False),
            json.dumps(joined(texts), ensure_ascii=False)))
        collector = lab.collector("alerting: alerting.yml\n"
                                  "external_url: https://console.example/fengsui\n").start()
        post(collector, {**alert("h1", "firing"), "endsAt": "2099-01-01T00:00:00Z"},
             {**alert("h2", "firing"), "endsAt": "2099-01-01T00:00:00Z"})
        wait_for(lambda: mail.mails, "the first mail")
        fingerprints = {a["labels"]["host"]: a["fingerprint"]
                        for a in collector.json("/api/v2/alerts")}
        post(collector, alert("h2", "resolved"))
        wait_for(lambda: len(mail.mails) >= 2, "the second mail")
        sent = mail.parsed()[1]
        assert sent["Subject"] == "(h1)(h2)" and "DiskFull" in sent["X-Own"], sent.items()
        parts = {part.get_content_type(): part.get_content() for part in sent.walk()
                 if not part.is_multipart()}
        wrong = [differences(texts, amtool_texts(lab.folder, texts, kind, fingerprints),
                             parts[content])
                 for kind, content in (("text", "text/plain"), ("html", "text/html"))]
        assert not any(wrong), "\n".join(wrong)
        collector.stop()
    mail.close()


if __name__ == "__main__":
    if any(shutil.which(name) is None for name in ("amtool", "promtool")):
        print("amtool and promtool are not both installed")
        sys.exit(SKIPPED)
    run_tests(globals())
