"""Do the documents say what the programs do?

Manual pages in both languages, bash completion and --help name the same flags, commands and keys;
every README lists the sources beside it; every link in a Markdown file leads somewhere.
"""
import fnmatch
import pathlib
import re
import shutil
import subprocess

from fengsui import BUILD, PATIENCE, run_tests

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANUALS = ROOT / "deploy/man"
COMPLETION = ROOT / "deploy/completion"
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
PROGRAMS = ("fengsui-probe", "fengsui-collector")


def run(*arguments, code=0, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False,
                          timeout=60 * PATIENCE, **options)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def help_of(program, *arguments):
    return run(BUILD / program, *arguments, "--help")


def flags_in_help(text):
    """Flags that stand at the beginning of a line, as `--flag` or `--flag X, --flag Y`."""
    rows = [line for line in text.splitlines() if re.match(r"  --", line)]
    return {flag for row in rows for flag in FLAG.findall(row)}


def commands_of_ctl():
    return re.findall(r"^  ([a-z]+) ", help_of("fengsuictl"), re.M)


def page(name, language=""):
    return (MANUALS / language / name).read_text(encoding="utf-8")


def flags_in_page(text):
    """The flags that have an entry of their own: `.It Fl -flag`."""
    return {flag for line in text.splitlines() if line.startswith(".It Fl")
            for flag in re.findall(r"Fl -([a-z][a-z-]*)", line)}


def section(text, name):
    found = re.search(rf"^\.Ss {name}$(.*?)(?=^\.S[sh] |\Z)", text, re.M | re.S)
    assert found, f"no section {name}"
    return found.group(1)


# -- manual pages --------------------------------------------------------------------------------

def test_pages_of_the_daemons_have_every_flag_and_no_other():
    for program in PROGRAMS:
        told = flags_in_help(help_of(program))
        for language in ("", "zh_CN"):
            text = page(f"{program}.8", language)
            written = flags_in_page(text)
            assert written == told, (program, language, written ^ told)
            synopsis = set(re.findall(r"Fl -([a-z-]+)", text[:text.index("\n.Bl")]))
            assert told <= synopsis, (program, language, told - synopsis)


def test_the_page_of_fengsuictl_has_every_command_and_flag_and_no_other():
    commands = commands_of_ctl()
    common = flags_in_help(help_of("fengsuictl", commands[0]).split("Common options:")[1])
    for language in ("", "zh_CN"):
        text = page("fengsuictl.1", language)
        sections = re.findall(r"^\.Ss (\S+)$", text, re.M)
        assert sorted(sections) == sorted(commands), (language, set(sections) ^ set(commands))
        begin = text[:text.index("\n.Ss ")]
        assert flags_in_page(begin) == common | {"help"}, (language, flags_in_page(begin))
        for command in commands:
            told = set(FLAG.findall(help_of("fengsuictl", command))) - common
            here = section(text, command)
            written = set(re.findall(r"Fl -([a-z-]+)", here)) - common
            assert written == told, (language, command, written ^ told)
            # Actions such as `approve`: those of the page are those the examples of --help use.
            for action in re.findall(rf"^\.D1 Nm Cm {command} ([a-z]+)", here, re.M):
                assert action in help_of("fengsuictl", command), (language, command, action)


def test_every_flag_that_fengsuictl_takes_is_in_a_help():
    for source in sorted((ROOT / "collector/ctl").glob("command_*.c")):
        text = source.read_text(encoding="utf-8")
        flags = set(re.findall(r'\{"--([a-z-]+)", FLAG_', text))
        for command in re.findall(r'\.name = "([a-z]+)"', text):
            told = set(FLAG.findall(help_of("fengsuictl", command)))
            assert flags <= told, (command, flags - told)


def test_pages_of_the_files_have_every_key():
    sources = {
        "fengsui-collector.yml.5": [ROOT / "collector/options.c",
                                    ROOT / "collector/watchdog/watchdog.c",
                                    *sorted((ROOT / "collector/remote").glob("*.c"))],
        "fengsui-jobs.yml.5": [ROOT / "collector/jobs/jobs_file.c"],
        "fengsui-alerting.yml.5": [*sorted((ROOT / "collector/notify").glob("alerting_*.[ch]"))],
        "fengsui-duty.yml.5": sorted((ROOT / "collector/duty").glob("*.c")),
        "fengsui-probe.yml.5": [ROOT / "probe/options.c", ROOT / "probe/options_collector.c",
                                ROOT / "probe/log/settings.c",
                                *sorted((ROOT / "probe/source").rglob("*.c"))]}
    for name, files in sources.items():
        keys = set()
        for file in files:
            text = file.read_text(encoding="utf-8")
            keys |= set(re.findall(r'\.key = "(\w+)"', text))
            keys |= set(re.findall(r'\{"(\w+)", CONFIG_', text))
        assert len(keys) > 15, (name, keys)
        for language in ("", "zh_CN"):
            written = set(re.findall(r"Ic (\w+)", page(name, language)))
            written |= set(re.findall(r"^\.Ss (\w+)$", page(name, language), re.M))
            assert keys <= written, (name, language, keys - written)


def test_both_languages_say_the_same():
    names = sorted(path.name for path in MANUALS.glob("*.[158]"))
    assert names == sorted(path.name for path in (MANUALS / "zh_CN").glob("*.[158]"))
    for name in names:
        entries = []
        for language in ("", "zh_CN"):
            text = page(name, language)
            entries.append([re.findall(r"^\.It (?:Fl|Ic|Dv|Ev) -?([\w-]+)", text, re.M),
                            re.findall(r"^\.Xr (\S+ \d)", text, re.M),
                            re.findall(r"^\.Bd -literal.*?^\.Ed", text, re.M | re.S)])
        assert entries[0] == entries[1], (name, entries)


def test_mandoc_finds_no_fault():
    if shutil.which("mandoc") is None:
        print("skip test_mandoc_finds_no_fault: no mandoc here")
        return
    for path in sorted(MANUALS.rglob("*.[158]")):
        # Its rules of style know only Latin letters: a Chinese page is held to warnings.
        level = "-Wwarning" if path.parent.name == "zh_CN" else "-Wstyle"
        done = subprocess.run(["mandoc", "-Tlint", level, path], capture_output=True, text=True,
                              check=False)
        # Whether a page that is named lies here is seen below.
        faults = [line for line in done.stdout.splitlines() if "manual not found" not in line]
        assert not faults, "\n".join(faults)
        for name, number in re.findall(r"^\.Xr (\S+) (\d)", path.read_text(encoding="utf-8"), re.M):
            assert (MANUALS / f"{name}.{number}").exists(), (path.name, name)


# -- completion ----------------------------------------------------------------------------------

def complete(program, *words):
    """What bash offers for the last word."""
    function = "_" + program.replace("-", "_")
    script = (f'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); {function}; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return set(run("bash", "-c", script, COMPLETION / program, program, *words,
                   cwd=ROOT / "deploy").split())


def test_completion_offers_every_flag_of_the_daemons_and_no_other():
    for program in PROGRAMS:
        offered = {flag.removeprefix("--") for flag in complete(program, "--")}
        assert offered == flags_in_help(help_of(program)), program
        assert complete(program, "--config", "ma") == {"man"}
        assert complete(program, "--log-format", "j") == {"json"}
        assert "--config" not in complete(program, "--log-format", "")


def test_completion_offers_what_fengsuictl_takes_and_nothing_else():
    commands = commands_of_ctl()
    offered = complete("fengsuictl", "")
    assert {word for word in offered if word[0] != "-"} - {"help"} == set(commands), offered
    for command in commands:
        text = help_of("fengsuictl", command)
        offered = complete("fengsuictl", command, "--")
        flags = {word.removeprefix("--") for word in offered}
        told = set(FLAG.findall(text)) | {"help"}
        assert flags == told, (command, flags ^ told)
        for word in complete("fengsuictl", "--json", command, ""):
            assert word[0] == "-" or word in text or word in ("list", "token") or \
                (ROOT / "deploy" / word).exists(), (command, word)
    assert complete("fengsuictl", "--url", "http://x", "stat") == {"status"}
    assert complete("fengsuictl", "query", "up", "--lang", "") == {"zh", "en"}
    assert complete("fengsuictl", "check", "rules", "ma") == {"man"}
    assert {"approve", "revoke", "token"} <= complete("fengsuictl", "probes", "")


# -- Markdown ------------------------------------------------------------------------------------

def markdown_files():
    return [path for path in sorted(ROOT.rglob("*.md"))
            if not {"build", "node_modules", ".git"} & set(path.relative_to(ROOT).parts)]


def anchors(text):
    """GitHub's anchors of a file's headings."""
    made = set()
    for title in re.findall(r"^#+ (.+?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S),
                            re.M):
        title = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        made.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return made


def test_every_relative_link_leads_somewhere():
    count = 0
    for path in markdown_files():
        text = path.read_text(encoding="utf-8")
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for link in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            where = f"{path.relative_to(ROOT)}: {link}"
            assert target.exists(), f"{where}: no such file"
            assert target == ROOT or ROOT in target.parents, f"{where}: outside the repository"
            if anchor and target.suffix == ".md":
                assert anchor in anchors(target.read_text(encoding="utf-8")), f"{where}: no heading"
    assert count > 20, count


def test_every_source_is_named_in_the_readme_of_its_folder():
    parts = ("probe", "collector", "proto")
    all_names = {path.name for part in (*parts, "tests")
                 for path in (ROOT / part).rglob("*.c")}
    for part in parts:
        for folder in {path.parent for path in (ROOT / part).rglob("*.c")}:
            readme = next(place / "README.md" for place in (folder, *folder.parents)
                          if (place / "README.md").exists())
            # `wal.[ch]` stands for two files, `envelope_read*.c` for several.
            words = re.findall(r"[\w/*-]+\.(?:\[ch\]|c\b)", readme.read_text(encoding="utf-8"))
            patterns = [word.rsplit("/", 1)[-1].replace("[ch]", "c") for word in words]
            missing = [path.name for path in sorted(folder.glob("*.c"))
                       if not any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)]
            assert not missing, f"{readme.relative_to(ROOT)} does not name {missing}"
            gone = [pattern for pattern in patterns
                    if not any(fnmatch.fnmatch(name, pattern) for name in all_names)]
            assert not gone, f"{readme.relative_to(ROOT)} names {gone}, which are not there"


if __name__ == "__main__":
    run_tests(globals())
