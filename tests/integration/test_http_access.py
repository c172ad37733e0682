"""Users, roles, TLS: who gets in, what the log says of those who do not, and what reloads."""
import base64
import json
import ssl
import subprocess
import urllib.error
import urllib.request

from fengsui import BUILD, Lab, PATIENCE, run_tests, wait_for


def ctl(*arguments, typed=None):
    return subprocess.run([str(BUILD / "fengsuictl"), *arguments], input=typed, text=True,
                          capture_output=True, check=True, timeout=30 * PATIENCE).stdout


def write_users(folder, **people):
    """people: name=(role, password)"""
    lines = ["users:"]
    for name, (role, password) in people.items():
        made = ctl("users", "hash", typed=password + "\n").strip()
        lines.append(f'  - {{name: {name}, role: {role}, password_hash: "{made}"}}')
    made = ctl("users", "token").split()
    lines.append(f'tokens:\n  - {{name: sender, role: writer, token_hash: {made[3]}}}')
    (folder / "users.yml").write_text("\n".join(lines) + "\n")
    return made[1]


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder / "tls.key",
                    "-out", folder / "tls.crt", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    (folder / "tls.key").chmod(0o600)


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def prepared(lab, config="http: {users: users.yml}\n"):
    collector = lab.collector(config)
    token = write_users(collector.folder, li=("viewer", "li's secret"), root=("admin", "root's"))
    return collector, token


def test_roles_are_kept():
    with Lab() as lab:
        collector, token = prepared(lab)
        collector.start()
        li, root = basic("li", "li's secret"), basic("root", "root's")
        sender = {"Authorization": f"Bearer {token}"}
        query = "/api/v1/query?query=1"
        assert collector.request("GET", query)[0] == 401
        assert collector.request("GET", query, headers=basic("li", "wrong"))[0] == 401
        assert collector.request("GET", query, headers=li)[0] == 200
        assert collector.request("GET", query, headers=sender)[0] == 403
        assert collector.request("GET", "/-/healthy")[0] == 200
        assert collector.request("GET", "/metrics")[0] == 401
        settle = "/api/fengsui/v1/store/settle"
        assert collector.request("POST", settle, b"", li)[0] == 403
        assert collector.request("POST", settle, b"", root)[0] == 200
        for path in ("stat", "backup", "verify"):
            path = f"/api/fengsui/v1/store/{path}"
            assert collector.request("GET", path, headers=li)[0] == 403, path
            assert collector.request("GET", path, headers=root)[0] == 200, path
        assert collector.request("POST", "/api/fengsui/v1/store/backup", b"{}", li)[0] == 403
        assert collector.request("POST", "/api/fengsui/v1/store/backup", b"{}", root)[0] == 400
        assert collector.request("DELETE", "/api/fengsui/v1/store/backup", headers=root)[0] == 404
        assert collector.request("POST", "/api/v1/write", b"x", li)[0] == 403
        assert collector.request("POST", "/api/v1/write", b"x", sender)[0] == 415
        log = collector.log.read_text()
        assert "login refused user=li" in log and "li's secret" not in log, log
        collector.stop()


def test_another_sites_page_cannot_use_the_readers_rights():
    with Lab() as lab:
        collector, _ = prepared(lab)
        collector.start()
        headers = {**basic("root", "root's"), "Origin": "https://evil.example"}
        assert collector.request("POST", "/api/fengsui/v1/keys/token", b"{}", headers)[0] == 403
        collector.stop()


def test_silencing_and_acknowledging_need_an_operator_and_bear_the_name():
    with Lab() as lab:
        collector, _ = prepared(lab)
        token = write_users(collector.folder, li=("viewer", "li's"), wang=("operator", "wang's"))
        collector.start()
        li, wang = basic("li", "li's"), basic("wang", "wang's")
        sender = {"Authorization": f"Bearer {token}"}

        def call(method, path, who, body=None, **headers):
            data = None if body is None else json.dumps(body).encode()
            code, text = collector.request(method, path, data, {**who, **headers})
            return code, json.loads(text) if text[:1] in (b"{", b"[") else text
        silence = {"matchers": [{"name": "a", "value": "b", "isRegex": False}], "comment": "c",
                   "createdBy": "d", "startsAt": "2026-01-01T00:00:00Z",
                   "endsAt": "2999-01-01T00:00:00+08:00"}
        assert call("POST", "/api/v2/silences", li, silence)[0] == 403
        code, made = call("POST", "/api/v2/silences", wang, silence)
        assert code == 200, (code, made)
        path = "/api/v2/silence/" + made["silenceID"]
        assert call("GET", path, li)[1]["endsAt"] == "2998-12-31T16:00:00.000Z"
        assert call("DELETE", path, li)[0] == 403
        assert call("DELETE", path, wang, Origin="https://evil.example")[0] == 403
        assert call("DELETE", path, wang)[0] == 200
        alert = [{"labels": {"alertname": "A"}}]
        assert call("POST", "/api/v2/alerts", li, alert)[0] == 403
        assert call("POST", "/api/v2/alerts", sender, alert)[0] == 200
        assert call("POST", "/api/v2/alerts", wang, alert)[0] == 200
        assert call("POST", "/api/v2/alerts", wang, alert, Origin="https://evil.example")[0] == 403
        assert call("POST", "/api/v2/silences", sender, silence)[0] == 403
        fingerprint = call("GET", "/api/v2/alerts", li)[1][0]["fingerprint"]
        order = {"fingerprint": fingerprint, "by": "somebody else", "comment": "on it"}
        acknowledge = "/api/fengsui/v1/alerts/acknowledge"
        assert call("POST", acknowledge, li, order)[0] == 403
        assert call("POST", acknowledge, wang, order)[0] == 200
        shown = call("GET", "/api/fengsui/v1/alerts", li)[1]["data"]["alerts"][0]["acknowledged"]
        assert (shown["by"], shown["comment"]) == ("wang", "on it"), shown
        assert call("GET", "/api/fengsui/v1/session", li)[1]["data"] == {
            "user": "li", "role": "viewer", "users": True}
        log = collector.log.read_text()
        assert "user=wang did=silence subject=" + made["silenceID"] in log, log
        assert "user=wang did=expire-silence" in log and "user=wang did=acknowledge" in log, log
        collector.stop()


def test_users_reload_and_a_broken_file_keeps_the_old_ones():
    with Lab() as lab:
        collector, _ = prepared(lab)
        collector.start()
        query, li = "/api/v1/query?query=1", basic("li", "li's secret")
        root = basic("root", "root's")
        (collector.folder / "users.yml").rename(collector.folder / "kept")
        (collector.folder / "users.yml").write_text("users:\n  - {nam: x}\n")
        code, text = collector.request("POST", "/-/reload", b"", root)
        assert code == 500 and b"users.yml:2" in text, (code, text)
        assert collector.request("GET", query, headers=li)[0] == 200
        write_users(collector.folder, root=("admin", "another"))
        assert collector.request("POST", "/-/reload", b"", root)[0] == 200
        assert collector.request("GET", query, headers=li)[0] == 401
        assert collector.request("GET", query, headers=root)[0] == 401
        assert collector.request("GET", query, headers=basic("root", "another"))[0] == 200
        collector.stop()


def peer_name(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    import socket
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain) as wrapped:
            return wrapped.getpeercert(binary_form=True)


def test_tls_serves_and_a_renewed_certificate_is_taken_up():
    with Lab() as lab:
        collector, _ = prepared(
            lab, "http: {users: users.yml, tls: {cert: tls.crt, key: tls.key}}\n")
        make_certificate(collector.folder, "first")
        collector.start(ready=False)
        first = wait_for(lambda: peer_name(collector.http), "the TLS port")
        context = ssl.create_default_context(cafile=collector.folder / "tls.crt")

        def get(path, headers):
            request = urllib.request.Request(f"https://127.0.0.1:{collector.http}{path}",
                                             headers=headers)
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        code, answer = get("/api/v1/query?query=1", basic("li", "li's secret"))
        assert code == 200 and answer["data"]["result"][1] == "1"
        import signal
        make_certificate(collector.folder, "second")
        collector.signal(signal.SIGHUP)
        wait_for(lambda: peer_name(collector.http) != first, "the new certificate")
        collector.stop()


def test_off_loopback_nothing_opens_without_users_and_tls():
    with Lab() as lab:
        collector = lab.collector(flags=("--http", "0.0.0.0:0"))
        collector.start(ready=False)
        code = collector.process.wait(20 * PATIENCE)
        assert code in (1, 2), code
        assert "not loopback" in collector.log.read_text()
        collector.process = None


def test_idle_clients_leave_descriptors_for_the_rest():
    import resource
    import socket
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Lab() as lab:
        collector = lab.collector()
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        collector.start()
        limits = open(f"/proc/{collector.process.pid}/limits", encoding="ascii").read()
        soft = [int(line.split()[3]) for line in limits.splitlines() if "open files" in line][0]
        assert soft >= min(before[1], 65536), limits
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 8192), before[1]))
        idle = []
        for _ in range(600):
            client = socket.create_connection(("127.0.0.1", collector.http))
            client.sendall(b"GET / HTTP/1.1\r\nHost:")
            idle.append(client)
        assert collector.get("/-/healthy")[0] == 200
        for client in idle:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        collector.stop()


def test_a_key_that_others_can_read_is_refused():
    with Lab() as lab:
        collector, _ = prepared(
            lab, "http: {users: users.yml, tls: {cert: tls.crt, key: tls.key}}\n")
        make_certificate(collector.folder, "first")
        (collector.folder / "tls.key").chmod(0o644)
        collector.start(ready=False)
        assert collector.process.wait(20 * PATIENCE) in (1, 2)
        assert "tls.key" in collector.log.read_text()
        collector.process = None


if __name__ == "__main__":
    run_tests(globals())
