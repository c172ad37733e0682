"""package_lint.py - what the families' own checkers, lintian and rpmlint, say of a package of ours.

    complaints(package)   lines of errors and warnings that are not among the known, or None where
                          the checker is not installed
"""
import pathlib
import shutil
import subprocess
import tempfile

# Known, and why they stay.
DEB = {
    "bogus-mail-host": "who builds the package is its maintainer",
    "bogus-mail-host-in-debian-changelog": "the same",
    "root-in-contact": "the same",
    "initial-upload-closes-no-bugs": "for Debian's own archive",
    "command-with-path-in-maintainer-script": "policy-rc.d is asked whether it is there",
    "init.d-script-does-not-source-init-functions": "one script for hosts that have them and hosts that have not",
    "script-in-etc-init.d-not-registered-via-update-rc.d": "it is, where there is no systemd (service.sh)",
    "unstripped-binary-or-object": "a test packs the probe of the build, not the stripped static one",
}
RPM = {
    "unstripped-binary-or-object": "as above",
    "no-url-tag": "there is no address to give",
    "no-signature": "who hands it out signs it",
    "no-packager-tag": "the same",
    "no-manual-page-for-binary": "there is: it looks for another compression",
    "manpage-not-compressed": "with gzip, which the man of EL6 reads",
    "invalid-license": "SPDX's name",
    "missing-dependency-to-logrotate": "the probe needs nothing; where there is none nothing is rotated",
    "logrotate-log-dir-not-packaged": "/var/log is the host's",
    "executable-marked-as-config-file": "an operator's change of the init script is kept",
    "dangerous-command-in-%pre": "chown, of the service's own folder",
    "dangerous-command-in-%post": "the same",
    "dangerous-command-in-%preun": "the same",
    "dangerous-command-in-%postun": "the same",
}


def said(program, *arguments):
    with tempfile.TemporaryDirectory(prefix="fengsui-lint-") as home:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=600,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LANG": "C.UTF-8"})
    return done.stdout.splitlines()


def complaints(package):
    package = pathlib.Path(package)
    program, known = {".deb": ("lintian", DEB), ".rpm": ("rpmlint", RPM)}[package.suffix]
    if shutil.which(program) is None:
        return None
    # "E: fengsui-probe: tag ..." and "fengsui-probe.x86_64: E: tag ...".
    rows = [(line, line.replace(": ", " ").split()) for line in said(program, package)]
    told = [(line, words[2]) for line, words in rows if len(words) > 2 and {"E", "W"} & set(words[:2])]
    assert told, f"{program} said nothing, not even what is known"
    return [line for line, tag in told if tag not in known]
