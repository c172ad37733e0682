"""What alerting.yml says of receivers comes true: proxies, redirects, certificates, pages in mails,
files of templates; and what it says wrongly is named with file and line.
"""
import base64
import http.server
import json
import os
import ssl
import subprocess
import threading

import alert_kit as kit
from fengsui import Lab, run_tests, wait_for

CHECKED = os.path.join(os.environ.get("FENGSUI_BUILD", "build/release"), "fengsui-collector")

ROUTES = """
route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
templates: ['templates/*.tmpl']
receivers:
- name: hook
{}
"""


def start(lab, receiver, templates=None):
    folder = lab.folder / "collector"
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    for name, text in (templates or {}).items():
        (folder / "templates" / name).write_text(text)
    (folder / "alerting.yml").write_text(ROUTES.format(receiver))
    return lab.collector("alerting: alerting.yml\nexternal_url: https://console.example\n").start()


def fire(collector, name, **annotations):
    alert = {"labels": {"alertname": name, "instance": "web01"}, "annotations": annotations}
    assert collector.request("POST", "/api/v2/alerts", json.dumps([alert]).encode(),
                             {"Content-Type": "application/json"})[0] == 200


class Odd:
    """An HTTP server that remembers request line and headers, and may send elsewhere."""

    def __init__(self, context=None):
        self.seen, self.elsewhere, odd = [], None, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                odd.seen.append((self.path, dict(self.headers), body))
                self.send_response(307 if odd.elsewhere else 200)
                if odd.elsewhere:
                    self.send_header("Location", odd.elsewhere)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_a_proxy_carries_it_and_a_redirect_is_followed_with_the_body():
    proxy, first, second = Odd(), Odd(), Odd()
    first.elsewhere = f"http://127.0.0.1:{second.port}/there"
    with Lab() as lab:
        collector = start(lab, f"""
  webhook_configs:
  - url: http://hook.invalid/path
    http_config: {{proxy_url: 'http://127.0.0.1:{proxy.port}', no_proxy: other.invalid,
                   authorization: {{type: Token, credentials: t0ken}}}}
  - url: http://127.0.0.1:{first.port}/here
  - url: http://127.0.0.1:{first.port}/stays
    http_config: {{follow_redirects: false}}""")
        fire(collector, "A")
        wait_for(lambda: proxy.seen and second.seen and len(first.seen) >= 2, "all are told")
        path, headers, body = proxy.seen[0]
        assert path == "http://hook.invalid/path" and headers["Authorization"] == "Token t0ken"
        assert json.loads(body)["alerts"], body
        assert [p for p, _, _ in second.seen] == ["/there"], second.seen
        assert json.loads(second.seen[0][2])["groupLabels"] == {"alertname": "A"}, second.seen
        collector.stop()
    for one in (proxy, first, second):
        one.close()


class TokenDesk(Odd):
    """Hands out tokens of OAuth 2.0, and is the service that takes only the newest of them."""

    def __init__(self):
        super().__init__()
        self.asked, self.told, self.refused, self.life, self.refuses = [], [], 0, 3600, False
        desk = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = 200, b""
                if self.path == "/token" and desk.refuses:
                    status, answer = 400, b'{"error":"invalid_client","error_description":"who?"}'
                elif self.path == "/token":
                    desk.asked.append((self.headers["Authorization"], body.decode()))
                    answer = json.dumps({"access_token": f"t{len(desk.asked)}", "token_type": "Bearer",
                                         "expires_in": desk.life}).encode()
                elif self.headers["Authorization"] == f"Bearer t{len(desk.asked)}":
                    desk.told += [a["labels"]["alertname"] for a in json.loads(body)["alerts"]]
                else:
                    desk.refused += 1
                    status = 401
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass
        self.server.RequestHandlerClass = Handler


def test_a_token_is_asked_for_kept_and_asked_for_again():
    desk = TokenDesk()
    with Lab() as lab:
        (lab.folder / "collector").mkdir()
        secret = lab.folder / "collector/secret"
        secret.write_text("p:w d\n")
        secret.chmod(0o600)
        collector = start(lab, f"""
  webhook_configs:
  - url: http://127.0.0.1:{desk.port}/hook
    http_config:
      oauth2:
        client_id: 'fengsui@unit'
        client_secret_file: secret
        token_url: http://127.0.0.1:{desk.port}/token
        scopes: [alerts.write, x]
        endpoint_params: {{audience: 'https://hook/'}}""")
        fire(collector, "A")
        wait_for(lambda: desk.told == ["A"], "it is told, with a token")
        login = base64.b64encode(b"fengsui%40unit:p%3Aw%20d").decode()
        assert desk.asked == [(f"Basic {login}", "grant_type=client_credentials&scope=alerts.write%20x"
                               "&audience=https%3A%2F%2Fhook%2F")], desk.asked
        fire(collector, "B")
        wait_for(lambda: desk.told == ["A", "B"], "the next")
        assert len(desk.asked) == 1, "the token is kept"
        desk.asked.append(None)  # somebody else got a newer one: ours is worn out
        fire(collector, "C")
        wait_for(lambda: desk.told == ["A", "B", "C"], "a new token is asked for, at once")
        assert len(desk.asked) == 3 and desk.refused == 1, (desk.asked, desk.refused)
        desk.asked.append(None)
        desk.refuses = True
        fire(collector, "D")
        wait_for(lambda: "invalid_client: who?" in collector.log.read_text() or
                 "invalid_client: who?" in str(collector.json("/api/fengsui/v1/receivers")), "why not, in words")
        collector.stop()
    desk.close()


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority", "-days", "2")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=DNS:gateway.example\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-extfile", f"{name}.ext")


def test_a_certificate_of_ours_and_a_name_that_is_not_the_urls():
    with Lab() as lab:
        make_certificates(lab.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(lab.folder / "server.crt", lab.folder / "server.key")
        context.load_verify_locations(lab.folder / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        names, gateway = [], None
        context.sni_callback = lambda sock, name, ctx: names.append(name)
        gateway = Odd(context)
        inline = json.dumps((lab.folder / "ca.crt").read_text())
        collector = start(lab, f"""
  webhook_configs:
  - url: https://127.0.0.1:{gateway.port}/good
    http_config:
      tls_config: {{ca_file: ../ca.crt, cert_file: ../client.crt, key_file: ../client.key,
                    server_name: gateway.example, min_version: TLS12}}
  - url: https://127.0.0.1:{gateway.port}/inline
    http_config:
      tls_config: {{ca: {inline}, cert_file: ../client.crt, key_file: ../client.key,
                    server_name: gateway.example}}
  - url: https://127.0.0.1:{gateway.port}/wrong-name
    http_config: {{tls_config: {{ca_file: ../ca.crt, cert_file: ../client.crt,
                                 key_file: ../client.key}}}}""")
        fire(collector, "A")
        wait_for(lambda: len(gateway.seen) >= 2, "two are told")
        wait_for(lambda: "not accepted" in collector.tail(), "one is not")
        assert sorted(p for p, _, _ in gateway.seen) == ["/good", "/inline"], gateway.seen
        assert "gateway.example" in names, names
        assert gateway.seen[0][1]["Host"] == f"127.0.0.1:{gateway.port}", gateway.seen
        collector.stop()
        gateway.close()


def test_a_page_stands_beside_the_text_of_a_mail():
    mail = kit.Mail()
    with Lab() as lab:
        collector = start(lab, f"""
  email_configs:
  - to: 'desk@example.org, {{{{ .CommonLabels.instance }}}}@example.org'
    from: fengsui@example.org
    smarthost: 127.0.0.1:{mail.port}
    require_tls: false
    headers: {{Subject: '{{{{ template "email.default.subject" . }}}}'}}
    text: '{{{{ template "email.default.text" . }}}}'
    html: '{{{{ template "email.default.html" . }}}}{{{{ template "ours" . }}}}'
""", {"a.tmpl": '{{ define "ours" }}<i>{{ .CommonAnnotations.summary }}</i>{{ end }}',
            "b.tmpl": '{{ define "__mark" }}[!]{{ end }}'})
        fire(collector, "A", summary="<磁盘>")
        sent = wait_for(mail.parsed, "the mail")[0]
        assert sent["Subject"] == "[!]A web01：<磁盘>", sent["Subject"]
        assert mail.mails[0][1] == ["desk@example.org", "web01@example.org"], mail.mails[0][1]
        assert sent["To"] == "desk@example.org, web01@example.org" and not sent["X-Envelope-To"]
        assert sent.get_content_type() == "multipart/alternative", sent
        text, page = [part.get_content() for part in sent.iter_parts()]
        assert "内容：<磁盘>" in text and "控制台：https://console.example" in text, text
        assert "<i>&lt;磁盘&gt;</i>" in page and "<磁盘>" not in page, page
        assert page.startswith("<!DOCTYPE html>") and "北京" not in page, page
        # A changed file is taken by a reload; a wrong one refuses it, and the old one stays.
        folder = collector.folder / "templates"
        (folder / "a.tmpl").write_text('{{ define "ours" }}<b>new</b>{{ end }}')
        assert collector.request("POST", "/-/reload", b"")[0] == 200
        (folder / "b.tmpl").write_text('{{ define "__mark" }}{{ if }}{{ end }}')
        status, answer = collector.request("POST", "/-/reload", b"")
        assert status != 200 and b"b.tmpl:1:" in answer, (status, answer)
        fire(collector, "B")
        wait_for(lambda: len(mail.mails) >= 2, "the second mail")
        second = mail.parsed()[1]
        assert "<b>new</b>" in list(second.iter_parts())[1].get_content(), second
        assert second["Subject"].startswith("[!]B"), second["Subject"]
        collector.stop()
    mail.close()


MAIL = "email_configs: [{{to: a@example.org, from: b@example.org, smarthost: 'h:25'{}}}]"
WRONG = [
    ("slack_configs: [{api_url: 'http://x'}]", "slack_configs: there is no such channel"),
    ("pagerduty_configs: [{}]", "pagerduty_configs"),
    ("webhook_configs: [{url: 'http://x', http_config: {oauth2: {client_id: a}}}]", "token_url"),
    ("webhook_configs: [{url: 'http://x', http_config: {oauth2: {client_id: a, token_url: 'http://t', "
     "endpoint_params: [b]}}}]", "endpoint_params"),
    ("webhook_configs: [{url: 'http://x', http_config: {bearer_token: b, oauth2: {client_id: a, "
     "token_url: 'http://t'}}}]", "give one of"),
    ("wecom_configs: [{url: 'http://x', http_config: {oauth2: {client_id: a, token_url: 'http://t'}}}]",
     "oauth2 is for webhook_configs"),
    ("webhook_configs: [{url: 'http://x', http_config: {basic_auth: {username: a, password: b, "
     "password_file: c}}}]", "password or password_file"),
    ("webhook_configs: [{url: 'http://x', http_config: {bearer_token: a, authorization: "
     "{credentials: b}}}]", "give one of"),
    ("webhook_configs: [{url: 'http://x', http_config: {authorization: {type: Basic}}}]", "Basic"),
    ("webhook_configs: [{url: 'http://x', http_config: {no_proxy: a}}]", "no_proxy"),
    ("webhook_configs: [{url: 'http://x', http_config: {tls_config: {cert_file: a}}}]",
     "go together"),
    ("webhook_configs: [{url: 'http://x', http_config: {tls_config: {min_version: SSL3}}}]",
     "min_version"),
    (MAIL.format(", text: '{{ template \"nowhere\" . }}'"), "\"nowhere\" is not defined"),
    (MAIL.format(", html: '{{ range .Alerts }}'"), "no {{end}}"),
    (MAIL.format(", headers: {Subject: '{{ template \"site\" . }}'}"), "\"deeper\" is not defined"),
    (MAIL.format("").replace("b@example.org", "'{{ .Receiver }}'"), "not a template"),
    (MAIL.format("").replace("a@example.org", "'{{ .Receiver'"), "unclosed"),
]
WRONG_TARGETS = [
    ("alertmanagers: [{}]", "static_configs"),
    ("alertmanagers: [{static_configs: [{targets: ['http://a:9093']}]}]", "host:port"),
    ("alertmanagers: [{static_configs: [{targets: [a]}], api_version: v1}]", "api_version"),
    ("alertmanagers: [{static_configs: [{targets: [a]}], relabel_configs: []}]",
     "relabel_configs"),
]


def test_what_is_wrong_is_named():
    with Lab() as lab:
        folder = lab.folder
        (folder / "templates").mkdir()
        (folder / "templates/site.tmpl").write_text(
            '{{ define "site" }}{{ template "deeper" . }}{{ end }}')
        (folder / "collector.yml").write_text("alerting: alerting.yml\n")
        texts = [(ROUTES.format("  " + text), reason) for text, reason in WRONG]
        texts += [(ROUTES.format("") + text, reason) for text, reason in WRONG_TARGETS]
        for text, reason in texts:
            (folder / "alerting.yml").write_text(text)
            done = subprocess.run([CHECKED, "--config", folder / "collector.yml", "--check"],
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 2 and reason in done.stderr and "alerting.yml:" in \
                done.stderr, (text, reason, done)
        (folder / "alerting.yml").write_text(ROUTES.format(""))
        (folder / "templates/site.tmpl").write_text("\n\n{{ define \"x\" }}{{ nope }}{{ end }}")
        done = subprocess.run([CHECKED, "--config", folder / "collector.yml", "--check"],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "site.tmpl:3: " in done.stderr, done


if __name__ == "__main__":
    run_tests(globals())
