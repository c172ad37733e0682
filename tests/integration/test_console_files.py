"""The duty console's files as a browser gets them: types, caching, policy, and nobody else asked.

What the console does with them: tests/browser/.
"""
import gzip
import re
import urllib.request

from fengsui import Lab, run_tests

TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml"}


def fetch(collector, path, **headers):
    """(status, headers, body) of one GET."""
    request = urllib.request.Request(f"http://127.0.0.1:{collector.http}{path}", headers={
        name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def files_of(collector):
    """Every file of the console by its address: those the page names, and what those import."""
    page = fetch(collector, "/")[2].decode()
    files, wanted = {}, re.findall(r'(?:href|src)="(console/[^"#]+[a-z])"', page)
    while wanted:
        path = "/" + wanted.pop().lstrip("/")
        if path in files:
            continue
        files[path] = fetch(collector, path)
        if path.endswith(".js"):
            folder = path.rsplit("/", 1)[0]
            wanted += [f"{folder}/{name}" for name in
                       re.findall(r"from '\./([^']+)'", files[path][2].decode())]
    return files


def test_the_page_carries_a_strict_policy():
    with Lab() as lab:
        collector = lab.collector().start()
        status, headers, body = fetch(collector, "/")
        assert status == 200 and "烽燧" in body.decode()
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert "frame-ancestors 'none'" in policy and headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(rb"<script(?![^>]*src=)|<style|style=|\son[a-z]+=", body), "inline code"
        assert headers["Cache-Control"] == "no-cache"
        again = fetch(collector, "/", If_None_Match=headers["ETag"])
        assert again[0] == 304 and again[2] == b"", again
        assert fetch(collector, "/", If_None_Match='"other"')[0] == 200
        collector.stop()


def test_files_are_kept_for_ever_and_speak_to_nobody():
    with Lab() as lab:
        collector = lab.collector().start()
        files = files_of(collector)
        if not files:
            print("     built without the console: nothing but its page to look at")
            return
        assert len(files) > 15 and any(path.endswith("/js/uplot.js") for path in files), files
        for path, (status, headers, body) in files.items():
            assert status == 200, (path, status)
            assert headers["Content-Type"] == TYPES[path[path.rindex("."):]], path
            assert "immutable" in headers["Cache-Control"] and headers["ETag"], path
            packed = fetch(collector, path, Accept_Encoding="gzip")
            if packed[1]["Content-Encoding"] == "gzip":
                assert gzip.decompress(packed[2]) == body, path
            else:
                assert len(body) < 1024, f"{path} is large and was not compressed"
            if path.endswith("/uplot.js"):
                continue  # names its own home page in a comment
            others = [url for url in re.findall(rb"(?:https?:)?//[a-z0-9-]+\.[a-z0-9.-]+[^'\"\s]*", body)
                      if not url.startswith(b"http://www.w3.org/2000/svg")]
            assert others == [], (path, others)
            assert b"innerHTML" not in body and b"eval(" not in body, path
        path = next(iter(files))
        version = path.split("/")[2]
        for wrong in (path.replace(version, "0" * 16), f"/console/{version}/", f"/console/{version}",
                      "/console/", f"/console/{version}/js/none.js", f"/console/{version}/../main.js"):
            assert fetch(collector, wrong)[0] == 404, wrong
        assert collector.request("POST", path)[0] == 405
        collector.stop()


if __name__ == "__main__":
    run_tests(globals())
