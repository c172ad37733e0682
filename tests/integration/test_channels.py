#!/usr/bin/python3
"""Every way a message may leave the house, and every way a receiver may fail it."""
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alert_kit as kit  # noqa: E402

RULES = """
groups:
- name: host
  rules:
  - alert: TooHot
    expr: temperature_celsius > 80
"""

ROUTE = """
route:
  receiver: desk
  group_by: [alertname, instance]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
receivers:
- name: desk
"""


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{folder}/tls.key",
                    "-out", f"{folder}/tls.crt", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True,
                   capture_output=True)


class SecureMail(kit.Mail):
    """Takes mail from who has begun TLS and knows the password; refuses some recipients."""

    def __init__(self, folder, refused=()):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult
        mails, logins = [], []
        self.mails, self.logins = mails, logins
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if address in refused:
                    return "550 5.1.1 nobody of that name"
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, server, session, envelope):
                mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
                return "250 OK"

        def authenticate(server, session, envelope, mechanism, data):
            logins.append((data.login, data.password, session.ssl is not None))
            return AuthResult(success=data.password == b"correct", handled=False)

        self.port = kit.free_port()
        self.controller = Controller(
            Handler(), hostname="127.0.0.1", port=self.port, tls_context=context,
            require_starttls=True, auth_required=True, authenticator=authenticate)
        self.controller.start()


class Silent:
    """Accepts connections and never answers."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.socket.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                self.connections.append(self.socket.accept()[0])
        except OSError:
            pass

    def close(self):
        self.socket.close()
        for connection in self.connections:
            connection.close()


class Channels(unittest.TestCase):
    def setUp(self):
        self.closing = []

    def tearDown(self):
        for thing in reversed(self.closing):
            thing.close()

    def keep(self, thing):
        self.closing.append(thing)
        return thing

    def collector(self, receivers, head="", files=()):
        """`receivers` and `head` are YAML; files: (name, text, mode)."""
        collector = kit.Collector.__new__(kit.Collector)
        original = collector.put

        def put(name, text):
            original(name, text)
            if name == "alerting.yml":
                for other, content, mode in files:
                    original(other, content)
                    os.chmod(os.path.join(collector.folder, other), mode)
        collector.put = put
        collector.__init__(RULES, head + ROUTE + receivers)
        return self.keep(collector)

    def heat(self, collector, value=90, instances=("web01",)):
        collector.write(*[("temperature_celsius", {"instance": i, "job": "node"}, value)
                          for i in instances])

    def metric(self, collector, name):
        for line in collector.get("/metrics").decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def secure_mail(self, password="correct", to="duty@example.cn", refused=(), ca=True):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        make_certificate(folder.name)
        mail = self.keep(SecureMail(folder.name, refused))
        tls = f", tls_config: {{ca_file: {folder.name}/tls.crt}}" if ca else ""
        collector = self.collector(
            f"  email_configs: [{{to: '{to}', auth_username: fengsui, auth_password_file: secret"
            f"{tls}, send_resolved: true}}]\n",
            f"global: {{smtp_smarthost: 'localhost:{mail.port}', smtp_from: 'a@example.cn'}}\n",
            [("secret", password + "\n", 0o600)])
        return mail, collector

    def test_mail_goes_through_starttls_and_a_login(self):
        mail, collector = self.secure_mail()
        self.heat(collector)
        kit.wait_for(lambda: mail.mails, 5, "the mail")
        self.assertEqual(mail.logins, [(b"fengsui", b"correct", True)])
        self.assertIn("【告警】TooHot web01", mail.parsed()[0]["Subject"])

    def test_a_refused_login_is_told_and_nothing_goes_unencrypted(self):
        mail, collector = self.secure_mail(password="wrong")
        self.heat(collector)
        kit.wait_for(lambda: "not accepted" in collector.own_log(), 5, "a line in the log")
        self.assertEqual(mail.mails, [])
        self.assertTrue(all(tls for _, _, tls in mail.logins))
        self.assertNotIn("wrong", collector.own_log())

    def test_an_unknown_certificate_gets_neither_password_nor_mail(self):
        mail, collector = self.secure_mail(ca=False)
        self.heat(collector)
        kit.wait_for(lambda: "not accepted" in collector.own_log(), 5, "a line in the log")
        self.assertEqual((mail.mails, mail.logins), ([], []))

    def test_an_address_that_is_refused_does_not_cost_the_others_their_mail(self):
        mail, collector = self.secure_mail(to="gone@example.cn, duty@example.cn",
                                           refused=("gone@example.cn",))
        self.heat(collector)
        kit.wait_for(lambda: mail.mails, 5, "the mail")
        self.assertEqual(mail.mails[0][1], ["duty@example.cn"])
        kit.wait_for(lambda: "nobody of that name" in collector.own_log(), 5, "who was refused")

    def test_a_server_without_tls_gets_no_mail_unless_allowed(self):
        mail = self.keep(kit.Mail())
        collector = self.collector(
            "  email_configs: [{to: 'duty@example.cn'}]\n",
            f"global: {{smtp_smarthost: 'localhost:{mail.port}', smtp_from: 'a@example.cn'}}\n")
        self.heat(collector)
        kit.wait_for(lambda: "not accepted" in collector.own_log(), 5, "a line in the log")
        self.assertEqual(mail.mails, [])

    def authorization(self, config, files=()):
        hook = self.keep(kit.Hook())
        collector = self.collector(
            f"  webhook_configs: [{{url: 'http://127.0.0.1:{hook.port}/', http_config: {config}}}]\n",
            files=files)
        self.heat(collector)
        kit.wait_for(hook.accepted, 5, "the message")
        return hook.authorizations[0]

    def test_a_webhook_may_want_a_password(self):
        self.assertEqual(self.authorization("{basic_auth: {username: li, password_file: pw}}",
                                            [("pw", "s3cret\n", 0o600)]),
                         "Basic bGk6czNjcmV0")

    def test_a_webhook_may_want_a_token(self):
        self.assertEqual(self.authorization("{authorization: {credentials_file: token}}",
                                            [("token", "tttt\n", 0o600)]), "Bearer tttt")

    def test_a_receiver_that_hangs_delays_nobody_else(self):
        silent, mail = self.keep(Silent()), self.keep(kit.Mail())
        collector = self.collector(
            f"  webhook_configs: [{{url: 'http://127.0.0.1:{silent.port}/', timeout: 60s}}]\n"
            "  email_configs: [{to: 'duty@example.cn', require_tls: false}]\n",
            f"global: {{smtp_smarthost: '127.0.0.1:{mail.port}', smtp_from: 'a@example.cn'}}\n")
        self.heat(collector, instances=[f"web{i:02}" for i in range(50)])
        kit.wait_for(lambda: len(mail.mails) == 50, 15, "a mail of each of 50 groups")
        self.heat(collector, instances=["late"])
        kit.wait_for(lambda: len(mail.mails) == 51, 5, "the mail of a later one")

    def test_a_receiver_that_hangs_is_given_up_in_time_and_asked_again(self):
        silent = self.keep(Silent())
        collector = self.collector(
            f"  webhook_configs: [{{url: 'http://127.0.0.1:{silent.port}/', timeout: 1s}}]\n")
        self.heat(collector)
        kit.wait_for(lambda: len(silent.connections) >= 2, 8, "a second try")
        self.assertGreaterEqual(
            self.metric(collector, "fengsui_collector_notifications_retried_total"), 1)

    def test_a_refusal_is_not_repeated_soon_but_an_error_is(self):
        hook = self.keep(kit.Hook())
        collector = self.collector(
            f"  webhook_configs: [{{url: 'http://127.0.0.1:{hook.port}/'}}]\n")
        hook.answer = 400
        self.heat(collector)
        kit.wait_for(lambda: "HTTP status 400" in collector.own_log(), 5, "a line in the log")
        hook.answer = 503
        self.heat(collector, instances=["web02"])
        kit.wait_for(lambda: len(hook.bodies) >= 4, 8, "the error is tried again")
        self.assertEqual([status for status, _ in hook.bodies].count(400), 1)

    def test_a_name_that_does_not_resolve_stops_nothing(self):
        hook = self.keep(kit.Hook())
        collector = self.collector(
            "  webhook_configs:\n  - {url: 'http://nowhere.invalid/'}\n"
            f"  - {{url: 'http://127.0.0.1:{hook.port}/'}}\n")
        self.heat(collector)
        kit.wait_for(hook.accepted, 5, "the other webhook")
        kit.wait_for(lambda: "not accepted" in collector.own_log(), 30, "a line in the log")
        self.assertIsNotNone(collector.get("/-/healthy"))

    def test_a_name_server_that_is_silent_stops_nothing(self):
        if os.geteuid() != 0:
            self.skipTest("only root may give a process another resolv.conf")
        with tempfile.TemporaryDirectory() as folder, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.9.9.9", 53))
            names = {"resolv.conf": "nameserver 127.9.9.9\n", "nsswitch.conf": "hosts: files dns\n"}
            script = "#!/bin/sh\nexec unshare -m sh -c '"
            for name, text in names.items():
                with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                    file.write(text)
                script += f"mount --bind {folder}/{name} /etc/{name} && "
            with open(f"{folder}/collector", "w", encoding="utf-8") as file:
                file.write(script + f"exec \"$0\" \"$@\"' {os.path.abspath(kit.COLLECTOR)} \"$@\"\n")
            os.chmod(f"{folder}/collector", 0o755)
            with unittest.mock.patch.object(kit, "COLLECTOR", f"{folder}/collector"):
                collector = self.collector(
                    "  webhook_configs: [{url: 'http://receiver.example.cn/', timeout: 1s}]\n")
            self.heat(collector)
            slowest = 0

            def is_told():
                nonlocal slowest
                start = time.monotonic()
                collector.get("/-/healthy")
                slowest = max(slowest, time.monotonic() - start)
                return "not accepted" in collector.own_log()
            kit.wait_for(is_told, 20, "a line in the log")
            is_told()
            self.assertLess(slowest, 1 * kit.PATIENCE)

    def test_an_error_in_a_template_is_counted_and_the_message_goes(self):
        hook, mail = self.keep(kit.Hook()), self.keep(kit.Mail())
        collector = self.collector(
            f"  webhook_configs: [{{url: 'http://127.0.0.1:{hook.port}/'}}]\n"
            "  email_configs: [{to: 'duty@example.cn', require_tls: false,"
            " text: '{{ index .Alerts 7 }}'}]\n",
            f"global: {{smtp_smarthost: '127.0.0.1:{mail.port}', smtp_from: 'a@example.cn'}}\n")
        self.heat(collector)
        kit.wait_for(lambda: mail.mails and hook.accepted(), 5, "both messages")
        self.assertIn("error expanding template", mail.parsed()[0].get_content())
        kit.wait_for(lambda: self.metric(
            collector, "fengsui_collector_template_errors_total") >= 1, 5, "the count")

    def program(self, script, head=""):
        """A collector whose receiver is a script of ours; returns it and the script's folder."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "page")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\ncd $(dirname $0)\n" + script)
        os.chmod(path, 0o755)
        return self.collector(f"  program_configs: [{{command: ['{path}', 'a b', '$HOME'], "
                              f"{head}}}]\n"), folder.name

    @staticmethod
    def lines(*path):
        try:
            with open(os.path.join(*path), encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def test_a_program_gets_the_message_and_its_arguments_as_they_are(self):
        collector, folder = self.program(
            'printf "%s\\n" "$FENGSUI_MESSAGE_ID" "$1" "$2" > seen; cat > body.new\n'
            'mv body.new body\n')
        self.heat(collector)
        kit.wait_for(lambda: self.lines(folder, "body"), 5, "the message")
        body = json.loads(self.lines(folder, "body")[0])
        self.assertEqual((body["version"], body["status"]), ("4", "firing"))
        self.assertEqual(body["alerts"][0]["labels"]["instance"], "web01")
        self.assertEqual(self.lines(folder, "seen")[1:], ["a b", "$HOME"])
        kit.wait_for(lambda: self.metric(
            collector, "fengsui_collector_notifications_sent_total") == 1, 5, "accepted")

    def test_a_program_that_asks_for_time_runs_again_with_the_same_id(self):
        collector, folder = self.program(
            'echo $FENGSUI_MESSAGE_ID >> ids; [ $(wc -l < ids) -gt 1 ] || '
            '{ echo line busy; exit 75; }\n')
        self.heat(collector)
        kit.wait_for(lambda: len(self.lines(folder, "ids")) == 2, 8, "the second run")
        self.assertEqual(len(set(self.lines(folder, "ids"))), 1)
        self.assertIn("exit code 75: line busy", collector.own_log())

    def test_a_program_that_hangs_is_killed_with_its_children(self):
        collector, folder = self.program("sleep 1000 & echo $! > child; wait\n", "timeout: 1s")
        self.heat(collector)
        kit.wait_for(lambda: "killed, its time was up" in collector.own_log(), 8, "the reason")
        child = self.lines(folder, "child")[0]
        kit.wait_for(lambda: not os.path.exists(f"/proc/{child}") or
                     " Z " in self.lines(f"/proc/{child}/stat")[0], 5, "no child left")

    def test_a_program_that_is_missing_is_told(self):
        collector = self.collector("  program_configs: [{command: [/no/such/program]}]\n")
        self.heat(collector)
        kit.wait_for(lambda: "cannot run /no/such/program" in collector.own_log(), 5, "the reason")


if __name__ == "__main__":
    unittest.main(verbosity=2)
