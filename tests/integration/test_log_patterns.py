#!/usr/bin/python3
"""The patterns that the shipped rules wait for, and access logs, on lines as the programs write them.

What can go wrong, each a case here:
  - a pattern of deploy/rules/log-patterns.yml does not match what Oracle, the cluster, nginx, Java or
    the kernel truly write, or counts a line of another kind;
  - a rule waits for a pattern that has no expression;
  - an access log of nginx, squid, IIS or HTTP.sys is not counted by the probe that runs.
"""
import pathlib
import re

from fengsui import Lab, run_tests, wait_for

RULES = pathlib.Path(__file__).parents[2] / "deploy/rules/log-patterns.yml"

ESTABLISH = ("01-MAR-2026 10:00:00 * (CONNECT_DATA=(SERVICE_NAME=decl)(CID=(PROGRAM=JDBC Thin Client)(HOST=__jdbc__)"
             "(USER=app))) * (ADDRESS=(PROTOCOL=tcp)(HOST=192.0.2.7)(PORT=51234)) * establish * ")

# What is written, and the patterns that count it.
SAMPLES = [
    ("kernel: Out of memory: Kill process 2211 (java) score 905 or sacrifice child", "kernel_oom"),
    ("kernel: Out of memory: Killed process 2211 (java) total-vm:8123456kB, anon-rss:7012345kB", "kernel_oom"),
    ("kernel: oracle invoked oom-killer: gfp_mask=0x201da, order=0, oom_score_adj=0", ""),
    ("kernel: oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=java,pid=2211,uid=500", "kernel_oom"),
    ("java.lang.OutOfMemoryError: GC overhead limit exceeded", "java_oom"),
    ("java.io.IOException: Too many open files", "java_too_many_open_files"),
    ("java.net.ConnectException: Connection refused (Connection refused)", "java_connection_refused"),
    ("kernel: sd 0:0:0:0: [sda] blk_update_request: I/O error, dev sda, sector 2048", "kernel_io_error"),
    ("kernel: Buffer I/O error on device dm-3, logical block 5", "kernel_io_error"),
    ("kernel: EXT4-fs (dm-3): Remounting filesystem read-only", "kernel_readonly"),
    ("kernel: EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0", "kernel_hardware"),
    ("kernel: EDAC MC1: UE page 0x1f, offset 0x0, grain 0, row 1, labels \":\"", "kernel_hardware"),
    ("kernel: mce: [Hardware Error]: Machine check events logged", "kernel_hardware"),
    ("kernel: EDAC MC: Ver: 3.0.0", ""),
    ("kernel: INFO: task oracle:2211 blocked for more than 120 seconds.", "kernel_hung_task"),
    ("kernel: nf_conntrack: table full, dropping packet", "kernel_conntrack_full"),
    ("Caused by: java.util.concurrent.RejectedExecutionException: Thread pool is EXHAUSTED!", "thread_pool_exhausted"),
    ("SEVERE: All threads (200) are currently busy, waiting. Increase maxThreads (200)", "thread_pool_exhausted"),
    ("org.apache.tomcat.jdbc.pool.PoolExhaustedException: Timeout: Pool empty.", "db_pool_exhausted"),
    ("java.sql.SQLException: Timeout waiting for idle object", "db_pool_exhausted"),
    ("2026/03/01 10:00:00 [error] 7#7: *1 no live upstreams while connecting to upstream, client: 192.0.2.1",
     "nginx_upstream_error"),
    ("2026/03/01 10:00:00 [error] 7#7: *2 upstream timed out (110: Connection timed out) while reading response "
     "header from upstream", "nginx_upstream_error"),
    ("2026/03/01 10:00:00 [error] 7#7: *3 connect() failed (111: Connection refused) while connecting to upstream",
     "nginx_upstream_error"),
    ("2026/03/01 10:00:00 [error] 7#7: *4 open() \"/x\" failed (2: No such file or directory)", ""),
    ("2026/03/01 10:00:00 [alert] 7#7: 1024 worker_connections are not enough", "nginx_limit"),
    ("2026/03/01 10:00:00 [crit] 7#7: accept4() failed (24: Too many open files)",
     "nginx_limit java_too_many_open_files"),
    ("2026/03/01 10:00:00 [crit] 7#7: *5 SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version "
     "number) while SSL handshaking, client: 192.0.2.1", "nginx_tls"),
    ("2026/03/01 10:00:00 kid1| FATAL: The redirector helpers are crashing too rapidly, need help!", "squid_fatal"),
    ("2026/03/01 10:00:00 kid1| assertion failed: store.cc:1825: \"mem_obj\"", "squid_fatal"),
    ("2026/03/01 10:00:00 kid1| WARNING! Your cache is running out of filedescriptors", "squid_descriptors"),
    ("2026/03/01 10:00:00 kid1| Detected DEAD Parent: up.example.org", "squid_peer_dead"),
    ("2026/03/01 10:00:00 kid1| Detected REVIVED Parent: up.example.org", ""),
    ("ORA-00600: internal error code, arguments: [kcratr_nab_less_than_odr], [1], [96]", "ora_600"),
    ("ORA-07445: exception encountered: core dump [kgghstfel()+14] [SIGSEGV]", "ora_7445"),
    ("ORA-01578: ORACLE data block corrupted (file # 7, block # 1299)", "ora_1578"),
    ("ORA-01110: data file 7: '+DATA/orcl/datafile/users.259.1'", "ora_1110"),
    ("ORA-04031: unable to allocate 4160 bytes of shared memory (\"shared pool\")", "ora_4031"),
    ("ORA-00257: archiver error. Connect internal only, until freed.", "ora_257"),
    ("ORA-15064: communication failure with ASM instance", "ora_15064 asm_error"),
    ("ORA-15130: diskgroup \"DATA\" is being dismounted", "asm_error"),
    ("ORA-15064: ? ASM ??????", "ora_15064 asm_error"),
    ("WARNING: failed to online diskgroup resource ora.DATA.dg (unable to communicate with CRSD/OHASD)", "asm_error"),
    ("* domain 0 valid = 1 according to instance 1; dead instance detected - domain 1 invalid = TRUE",
     "asm_dead_instance"),
    ("ORA-00060: Deadlock detected. More info in file /u01/trace/orcl_ora_1.trc.", "ora_60"),
    ("ORA-01555 caused by SQL statement below (SQL ID: 1, Query Duration=1 sec, SCN: 0x0)", "ora_1555"),
    ("ORA-1652: unable to extend temp segment by 128 in tablespace TEMP", "ora_1652"),
    ("ORA-1653: unable to extend table SI.PAY by 8192 in tablespace USERS", "ora_1653"),
    ("ORA-12012: error on auto execute of job 42", "ora_12012"),
    ("ORA-03136: inbound connection timed out", "ora_3136"),
    ("WARNING: inbound connection timed out (ORA-3136)", "ora_3136"),
    ("ORA-06000: no such message, and ORA-60001 none either", ""),
    ("Instance terminated by USER, pid = 4711", "instance_terminated"),
    ("PMON (ospid: 3): terminating the instance due to error 472", "instance_terminated"),
    ("Starting ORACLE instance (normal)", "instance_started"),
    ("ORACLE Instance orcl1 - Can not allocate log, archival required", "archival_required"),
    ("All online logs needed archiving", "archival_required"),
    ("Private strand flush not complete", ""),
    ("Thread 1 cannot allocate new log, sequence 8; Checkpoint not complete", "checkpoint_not_complete"),
    ("[cssd(1)]CRS-1601:CSSD Reconfiguration complete. Active nodes are rac1 rac2 .", "crs_1601"),
    ("[cssd(1)]CRS-1607:Node rac2 is being evicted in cluster incarnation 3", "crs_1607"),
    ("[cssd(1)]CRS-1610:节点 rac2 (2) 的网络通信缺失已达 90% 的超时间隔", "crs_1610"),
    ("[cssd(1)]CRS-1611:Network communication with node rac2 (2) missing for 75% of timeout interval", "crs_1611"),
    ("[cssd(1)]CRS-1612:Network communication with node rac2 (2) missing for 50% of timeout interval", "crs_1612"),
    ("[cssd(1)]CRS-1663:Member kill issued by PID 1 for 1 members, group DBORCL", "crs_1663"),
    ("[crsd(1)]CRS-2807:Resource 'ora.asm' failed to start automatically.", "crs_2807"),
    ("[crsd(1)]CRS-5504:Node down event reported for node 'rac2'.", "crs_5504"),
    ("2026-03-01 10:00:00.123: [    CSSD][1105717568]clssnmvDHBValidateNcopy: node 2, rac2, has a disk HB, but no "
     "network HB, DHB has rcfg 257412", "cssd_no_network"),
    ("2026-03-01 10:00:00.123: [    CSSD][1115699552]clssnmPollingThread: node rac2 (2) at 50% heartbeat fatal, removal "
     "in 14.340 seconds", "cssd_heartbeat"),
    (ESTABLISH + "decl * 0", "listener_connect"),
    (ESTABLISH + "decl * 12514", "listener_refused"),
    ("TNS-12514: TNS:listener does not currently know of service requested in connect descriptor",
     "tns_12514 listener_tns"),
    ("01-MAR-2026 10:00:00 * (CONNECT_DATA=(SID=old)) * (ADDRESS=(PROTOCOL=tcp)(HOST=192.0.2.7)(PORT=5)) * establish * "
     "old * 12505", "listener_refused"),
    ("TNS-12505: TNS:listener does not currently know of SID given in connect descriptor", "tns_12505 listener_tns"),
    ("01-MAR-2026 10:00:00 * 12502", ""),
    ("TNS-12502: TNS:listener received no CONNECT_DATA from client", "listener_tns"),
    ("TNS-12516: TNS:listener could not find available handler with matching protocol stack", "tns_12516 listener_tns"),
    ("TNS-12518: TNS:listener could not hand off client connection", "tns_12518 listener_tns"),
    (" TNS-12547: TNS:lost contact", "listener_tns"),
    ("   TNS-00517: Lost contact", ""),
    ("TNS-12519: TNS:no appropriate service handler found", "tns_12519 listener_tns"),
    ("TNS-12520: TNS:listener could not find available handler for requested type of server", "tns_12520 listener_tns"),
    ("TNS-12528: TNS:listener: all appropriate instances are blocking new connections", "tns_12528 listener_tns"),
    ("01-MAR-2026 10:00:00 * service_update * orcl1 * 0", "listener_service_update"),
    ("01-MAR-2026 10:00:00 * service_register * orcl1 * 0", ""),
    ("01-MAR-2026 10:00:00 * service_died * orcl1 * 12537", "listener_service_died"),
    ("01-MAR-2026 10:00:00 * ping * 0", ""),
    ("No longer listening on: (DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=db01)(PORT=1521)))", "listener_stopped"),
    # log.xml, of the listener and of an instance: the same words in other clothes.
    ("<msg time='2026-03-01T10:00:00.123+08:00' org_id='oracle' comp_id='tnslsnr'", ""),
    (" type='UNKNOWN' level='16' host_id='db01'", ""),
    (" <txt>" + ESTABLISH + "decl * 0", "listener_connect"),
    (" <txt>" + ESTABLISH + "decl * 12518", "listener_refused"),
    ("TNS-12518: TNS:listener could not hand off client connection", "tns_12518 listener_tns"),
    (" <txt>01-MAR-2026 10:00:00 * service_update * orcl1 * 0", "listener_service_update"),
    (" </txt>", ""),
    (" <txt>Errors in file /u01/trace/orcl_ora_1.trc  (incident=1201):", ""),
    ("ORA-00600: internal error code, arguments: [&apos;kcb&apos;], []", "ora_600"),
]

ACCESS = {
    "nginx_timed": '192.0.2.7 - - [01/Mar/2026:10:00:00 +0800] "GET /a HTTP/1.1" 502 157 "-" "curl/7.88" 60.001 60.000, 0.001\n',
    "squid": "1772330400.512    172 192.0.2.7 TCP_MISS/503 1013 GET http://example.org/ - HIER_DIRECT/192.0.2.9 text/html\n",
    "iis": "#Software: Microsoft Internet Information Services 8.5\r\n#Version: 1.0\r\n#Date: 2026-03-01 02:00:00\r\n"
           "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) "
           "cs(Referer) sc-status sc-substatus sc-win32-status time-taken\r\n"
           "2026-03-01 02:00:00 192.0.2.1 POST /pay.aspx - 80 - 192.0.2.7 Mozilla/5.0+(Windows) - 500 0 64 1234\r\n",
    "httperr": "#Software: Microsoft HTTP API 2.0\r\n#Fields: date time c-ip c-port s-ip s-port cs-version cs-method "
               "cs-uri sc-status s-siteid s-reason s-queuename\r\n"
               "2026-03-01 02:00:00 192.0.2.7 5123 192.0.2.1 80 HTTP/1.1 GET /x 503 1 QueueFull DefaultAppPool\r\n",
}


def waited_for():
    """Names of patterns that the rules wait for."""
    text = RULES.read_text()
    groups = re.findall(r'pattern=~?"([^"]+)"', text)
    return {name for group in groups for name in group.split("|")} | {"kernel_oom"}


def expressions():
    """Name to expression, as the comment at the rules' head has them."""
    found = {}
    for line in RULES.read_text().splitlines():
        match = re.match(r"#   ([a-z0-9_ ]+?) +'(.*)'", line)
        if match is None:
            continue
        names = match.group(1).split()
        for name in names:
            number = re.fullmatch(r"(ora|crs|tns)_(\d+)", name)
            expression = match.group(2)
            if number is not None:
                expression = re.sub(r"\d+(?=\\b$)", number.group(2), expression)
            elif len(names) > 1:
                expression = None
            found[name] = expression
    return found


def write_config(folder):
    entries = ["logs:", f"- path: {folder}/messages", "  patterns:"]
    entries += [f"  - {{name: {name}, regex: '{expression}'}}" for name, expression in expressions().items()]
    for name in ACCESS:
        entries += [f"- {{path: {folder}/{name}, format: {name}, send: none}}"]
    (folder / "probe.yml").write_text("\n".join(entries) + "\n")


def test_what_programs_write_is_counted():
    assert set(expressions()) == waited_for(), set(expressions()) ^ waited_for()
    expected = {name: sum(name in counted.split() for _, counted in SAMPLES) for name in waited_for()}
    assert all(expected.values()), f"no sample of {[n for n, count in expected.items() if not count]}"
    with Lab() as lab:
        write_config(lab.folder)
        (lab.folder / "messages").write_text("".join(line + "\n" for line, _ in SAMPLES))
        for name, text in ACCESS.items():
            (lab.folder / name).write_text(text)
        server = lab.collector().start()
        agent = lab.probe(server, flags=["--config", lab.folder / "probe.yml"]).start()

        def counted():
            found = server.query("logwatch_pattern_matches_total")
            return {one["metric"]["pattern"]: int(float(one["value"][1])) for one in found}
        wait_for(lambda: sum(counted().values()) >= sum(expected.values()), "all counts")
        wrong = {name: (count, expected[name]) for name, count in counted().items() if count != expected[name]}
        assert not wrong, f"counted, expected: {wrong}"

        requests = 'sum by (file, code, method) (logwatch_http_requests_total)'
        wait_for(lambda: len(server.query(requests)) == len(ACCESS), "the requests")
        got = {(one["metric"]["file"].rsplit("/", 1)[1], one["metric"]["method"], one["metric"]["code"])
               for one in server.query(requests) if float(one["value"][1]) == 1}
        assert got == {("nginx_timed", "GET", "502"), ("squid", "GET", "503"), ("iis", "POST", "500"),
                       ("httperr", "GET", "503")}, got
        slow = "histogram_quantile(0.5, sum by (le) (logwatch_http_request_duration_seconds_bucket))"
        assert 0 < server.value(slow) < 60, server.query(slow)
        assert server.value("sum(logwatch_http_unparsed_lines_total)") == 0
        agent.stop()


if __name__ == "__main__":
    run_tests(globals())
