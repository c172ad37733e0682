#!/usr/bin/python3
"""Services asked in their own language: what nginx, squid, memcached and redis of this system say.

What can go wrong, each a case here:
  - a server of another version says what the parser does not expect, and all of it is missing;
  - the well-known exporter's name of a value is not the name here;
  - a password is wrong or missing, or a page is forbidden, and nobody learns why;
  - a service that hangs or goes away counts as up, or leaves its series behind;
  - a service that listens on a Unix socket alone cannot be asked.
"""
import base64
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading

from fengsui import BUILD, PATIENCE, Lab, free_port, run_tests, wait_for

JVM = (pathlib.Path(__file__).parent.parent / "corpus/source_ask/jvm").read_bytes()[1:]
SERVERS = ("nginx", "squid", "memcached", "redis-server")


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def keep_an_item(path):
    """Stores one, asks for it once, and returns what memcached says."""
    said = b""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"set key 0 0 5\r\nhello\r\nget key\r\nquit\r\n")
        while piece := s.recv(4096):
            said += piece
    return said


@contextlib.contextmanager
def running(folder):
    """The servers that are installed, by name: port.  They end with the block."""
    ports = {name: free_port() for name in SERVERS if shutil.which(name)}
    missing = sorted(set(SERVERS) - set(ports))
    if missing:
        print(f"not installed, not asked: {', '.join(missing)}")
    home = folder / "servers"
    home.mkdir()
    home.chmod(0o777)
    folder.chmod(0o755)
    temporary = " ".join(f"{kind}_temp_path {home};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "nginx.conf").write_text(
        f"daemon off; pid {home}/nginx.pid; error_log {home}/nginx.log; events {{}}\n"
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{ports.get('nginx')}; "
        f"listen unix:{home}/nginx.sock;\n"
        "location /stub_status { stub_status; } location /forbidden { deny all; } } }\n")
    (home / "squid.conf").write_text(
        f"http_port 127.0.0.1:{ports.get('squid')}\npid_filename {home}/squid.pid\n"
        f"access_log none\ncache_log {home}/squid.log\ncoredump_dir {home}\ncache_mem 8 MB\n"
        "max_filedescriptors 1024\npinger_enable off\nnetdb_filename none\n"
        "shutdown_lifetime 0 seconds\nhttp_access allow localhost manager\n"
        "http_access deny all\n")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    commands = {
        "nginx": ["nginx", "-p", str(home), "-c", str(home / "nginx.conf")],
        "squid": ["squid", "-N", "-f", str(home / "squid.conf")],
        "memcached": ["memcached", *user, "-l", "127.0.0.1", "-p", str(ports.get("memcached"))],
        "redis-server": ["redis-server", "--port", str(ports.get("redis-server")), "--bind",
                         "127.0.0.1", "--save", "", "--dir", str(home), "--requirepass", "open",
                         "--unixsocket", str(home / "redis.sock")],
        "memcached by a socket": ["memcached", *user, "-s", str(home / "memcached.sock"), "-a", "777"]}
    processes = {name: subprocess.Popen(  # pylint: disable=consider-using-with
        command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name, command in commands.items() if name.partition(" ")[0] in ports}
    try:
        for name, port in ports.items():
            wait_for(lambda p=port: is_open(p), f"{name} to listen", 30)
        if "memcached" in ports:
            wait_for(lambda: b"VALUE" in keep_an_item(home / "memcached.sock"), "memcached's socket", 30)
        yield ports, processes
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


class Jolokia:
    """Answers as an agent does, to those who know the password."""

    def __init__(self):
        agent = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                agent.asked.append(json.loads(body))
                known = "Basic " + base64.b64encode(b"watch:jvm pass").decode()
                good = self.headers.get("Authorization") == known
                self.send_response(200 if good else 401)
                self.end_headers()
                self.wfile.write(JVM if good else b"no")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def secret(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def configure(folder, ports, jolokia, hanging):
    """A probe.yml with every server, right and wrong."""
    local, home = "127.0.0.1", folder / "servers"
    sources = {
        "jvm": [{"url": f"http://{local}:{jolokia}/jolokia", "user": "watch",
                 "password_file": secret(folder, "jvm.pass", "jvm pass\n")},
                {"url": f"http://{local}:{jolokia}/jolokia", "job": "jvm-no"}],
        "redis": [{"url": f"redis://{local}:{hanging}", "job": "redis-hang", "timeout": "200ms"}]}
    if "nginx" in ports:
        sources["nginx"] = [{"url": f"http://{local}:{ports['nginx']}"},
                            {"url": f"http://{local}:{ports['nginx']}/forbidden", "job": "nginx-no"},
                            {"url": f"unix:{home}/nginx.sock", "job": "nginx-local"},
                            {"url": f"unix:{home}/nginx.sock:/forbidden", "job": "nginx-local-no"}]
    if "squid" in ports:
        sources["squid"] = [{"url": f"http://{local}:{ports['squid']}"},
                            {"url": f"cache_object://{local}:{ports['squid']}", "job": "squid-old",
                             "keep": "squid_client_.*"}]
    if "memcached" in ports:
        sources["memcached"] = [{"url": f"memcached://{local}:{ports['memcached']}",
                                 "instance": f"app:{ports['memcached']}"},
                                {"url": f"unix:{home}/memcached.sock", "job": "memcached-local"}]
    if "redis-server" in ports:
        port = ports["redis-server"]
        sources["redis"] += [
            {"url": f"redis://{local}:{port}",
             "password_file": secret(folder, "redis.pass", "open\n")},
            {"url": f"redis://{local}:{port}", "job": "redis-wrong",
             "password_file": secret(folder, "wrong.pass", "shut\n")},
            {"url": f"redis://{local}:{port}", "job": "redis-no"},
            {"url": f"unix:{home}/redis.sock", "job": "redis-local",
             "password_file": str(folder / "redis.pass")},
            {"url": f"unix:{home}/absent.sock", "job": "redis-absent"}]
    path = folder / "probe.yml"
    path.write_text(json.dumps({"sources": {
        name: {"interval": "300ms", "targets": rows} for name, rows in sources.items()}}))
    return path


GOOD = {
    "nginx": ["nginx_up == 1", "nginx_http_requests_total > 0", "nginx_connections_active > 0",
              "nginx_up{job='nginx-local'} == 1", "nginx_http_requests_total{job='nginx-local'} > 0"],
    "squid": ["squid_up{host='127.0.0.1',job='squid'} == 1",
              "squid_client_http_requests_total{job='squid'} > 0",
              "squid_info_Available_number_of_file_descriptors > 0",
              "squid_HTTP_Requests_All_95 >= 0",
              "squid_client_http_requests_total{job='squid-old'} > 0"],
    "memcached": ["memcached_up{instance=~'app:.*'} == 1", "memcached_limit_bytes > 0",
                  "memcached_commands_total{command='get',status='hit'} == 0",
                  "memcached_connections_total > 0", "memcached_up{job='memcached-local'} == 1",
                  "memcached_slab_current_items{job='memcached-local'} == 1",
                  "memcached_slab_chunk_size_bytes{job='memcached-local'} > 0",
                  "memcached_slab_mem_requested_bytes{job='memcached-local'} > 0",
                  "memcached_slab_commands_total{job='memcached-local',command='get',status='hit'} == 1",
                  "memcached_slab_commands_total{job='memcached-local',command='set',status='hit'} == 1",
                  "count by (job) (memcached_slab_lru_hits_total{job='memcached-local'}) == 4",
                  "memcached_malloced_bytes{job='memcached-local'} > 0"],
    "redis-server": ["redis_up{job='redis'} == 1", "redis_memory_used_bytes > 0",
                     "redis_instance_info{role='master'} == 1", "redis_config_maxclients > 0",
                     "redis_commands_total{cmd='info'} > 0", "redis_up{job='redis-local'} == 1",
                     "redis_up{job='redis-absent'} == 0"],
    "jolokia": ["jvm_memory_used_bytes{area='heap'} == 31457280", "jvm_threads_deadlocked == 2"],
}
REASONS = {
    "nginx": ["/forbidden is down: the server answered with status 403",
              "nginx.sock:/forbidden is down: the server answered with status 403"],
    "redis-server": ["is down: AUTH: the server says: WRONGPASS",
                     "is down: INFO: the server says: NOAUTH", "absent.sock is down: no such file or directory"],
    "jolokia": ["/jolokia is down: the server answered with status 401"],
}


def test_what_servers_of_this_system_say():
    jolokia = Jolokia()
    with Lab() as lab, running(lab.folder) as (ports, processes), socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()
        path = configure(lab.folder, ports, jolokia.port, hanging.getsockname()[1])
        checked = subprocess.run(
            [BUILD / "fengsui-probe", "--config", path, "--check"], capture_output=True,
            text=True, timeout=60 * PATIENCE, check=False).stdout
        for name in ports:
            assert f"source {name.removesuffix('-server')} " in checked, checked
        assert ": works: it answers, " in checked, checked
        assert "source jvm http://127.0.0.1" in checked and "status 401" in checked, checked
        assert "FAILS: no answer in time" in checked, checked

        collector = lab.collector().start()
        agent = lab.probe(collector, name="app", interval="300ms",
                          flags=("--config", path, "--instance", "app"))
        agent.start()
        for name in [*ports, "jolokia"]:
            for expression in GOOD[name]:
                wait_for(lambda e=expression: collector.query(e), expression)
        log = agent.log.read_text()
        for name in [*ports, "jolokia"]:
            for reason in REASONS.get(name, ()):
                assert reason in log, f"{reason!r} is not in the log:\n{agent.tail()}"
        assert "open" not in log.split() and "shut" not in log.split(), "a password in the log"
        wait_for(lambda: collector.query("redis_up{job='redis-hang'} == 0"), "the one that hangs")

        if "memcached" in ports:
            processes["memcached"].kill()
            wait_for(lambda: collector.query("memcached_up == 0"), "its end")
            wait_for(lambda: not collector.query("memcached_limit_bytes{job='memcached'}"), "the end of its series")
        assert jolokia.asked[0][0] == {"type": "read", "mbean": "java.lang:type=Memory"}
        agent.stop()
    jolokia.stop()


if __name__ == "__main__":
    run_tests(globals())
