"""Arrows between the parts point one way: what a file includes, its library links.

All sources see the root of the tree, so the compiler would take any header; a source that includes
one of another library without linking it knows a part it should not, and links only where somebody
else brings that part along.  Headers are not looked at: types alone are no arrow.

Read out of the CMakeLists.txt: libraries, their sources, what they link.
"""
import pathlib
import re

from fengsui import run_tests

ROOT = pathlib.Path(__file__).resolve().parents[2]

# (library, library): why it may name the other without linking it.
ALLOWED = {
    ("http", "options"): "self.h is the program's: it prints, and is linked beside",
    ("remote_in", "http"): "struct http_request; its tests bring a server of their own",
    ("remote_in", "rules"): "whoever links it brings the calls of rules",
    ("rules", "wire"): "limits of the wire, no call",
    ("posix_on_windows", "base"): "declarations that it gives the bodies of",
}
# What a part must not reach, over however many others.
NEVER = [("remote", "notify"), ("http_client", "notify"), ("http_client", "remote"),
         ("http_client", "store"), ("store", "notify"), ("store", "http"), ("base", "store"),
         ("notify", "remote"), ("promql", "notify")]


def read_libraries():
    """({library: libraries it links}, {source: its library})."""
    links, owners = {}, {}
    for part in ("proto", "probe", "collector"):
        for path in ROOT.glob(f"{part}/**/CMakeLists.txt"):
            text = re.sub(r"#.*", "", path.read_text())
            for name, body in re.findall(r"fengsui_library\((\w+)\s([^)]*)\)", text):
                word_of = None
                for word in body.split():
                    if word in ("SOURCES", "PUBLIC", "PRIVATE"):
                        word_of = word
                    elif word_of == "SOURCES":
                        owners[str(path.parent / word)] = name
                    else:
                        links.setdefault(name, set()).add(word)
                links.setdefault(name, set())
            for name, body in re.findall(r"target_link_libraries\((\w+)\s([^)]*)\)", text):
                if name in links:
                    links[name].update(body.split())
    return links, owners


def reach(links, name):
    met, waiting = {name}, [name]
    while waiting:
        for other in links[waiting.pop()]:
            if other in links and other not in met:
                met.add(other)
                waiting.append(other)
    return met


def owners_of(header, owners, folders):
    """The library that has the header's .c; else all of its folder."""
    own = owners.get(str(header)[:-2] + ".c")
    return {own} if own else folders.get(str(header.parent), set())


def test_what_a_file_includes_its_library_links():
    links, owners = read_libraries()
    assert len(links) > 30 and len(owners) > 300, (len(links), len(owners))
    near = {name: reach(links, name) for name in links}
    folders = {}
    for path, name in owners.items():
        folders.setdefault(str(pathlib.Path(path).parent), set()).add(name)
    strange, used = [], set()
    for path, name in owners.items():
        if "$" in path:
            continue
        for included in re.findall(r'^#include "((?:collector|proto|probe)/[^"]+)"',
                                   pathlib.Path(path).read_text(), re.M):
            others = owners_of(ROOT / included, owners, folders)
            if not others or others & near[name]:
                continue
            arrows = {(name, other) for other in others}
            used |= arrows & set(ALLOWED)
            if not arrows & set(ALLOWED):
                strange.append(f"{pathlib.Path(path).relative_to(ROOT)} of {name} includes {included} of "
                               f"{'/'.join(sorted(others))}, which it does not link")
    assert not strange, "\n".join(strange)
    assert used == set(ALLOWED), f"no longer needed: {set(ALLOWED) - used}"


def test_no_arrow_points_back():
    links, _ = read_libraries()
    for name, other in NEVER:
        assert name in links and other in links, (name, other)
        assert other not in reach(links, name), f"{name} reaches {other}"


if __name__ == "__main__":
    run_tests(globals())
