#!/bin/sh
# install.sh - makes this host a watched one; needs root, a shell, and nothing else.
#
#   ./install.sh              install, or upgrade: configuration, key and spool stay as they are
#   ./install.sh --no-start   lay everything down, start nothing
#   ./install.sh --instance NAME   ask the collector for this name (default: the host's)
#   ./install.sh --privileges      let it read other users' log files and processes as well
#   ./install.sh --uninstall  take the program and its service away; configuration and spool stay
#   ./install.sh --purge      that, and configuration, key and spool
#   ./install.sh --check      say what would be measured on this host and what would not; change nothing
#
# What goes where:
#   /usr/bin/fengsui-probe        the program (static)
#   /etc/fengsui/                 probe.yml, collector.pub, enrol.token
#   /var/lib/fengsui-probe        key and spool, of the user fengsui-probe
#   a unit in /etc/systemd/system, or /etc/init.d/fengsui-probe and, under upstart, /etc/init
#
# A second run changes only what is different; a probe that runs is restarted only if something was.
# Then look:  service fengsui-probe status     on the collector:  fengsuictl probes
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=fengsui-probe
user=fengsui-probe
home=/var/lib/fengsui-probe
config=/etc/fengsui/probe.yml
units=$here

do=install start=1 instance= privileges= changed=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,20s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --no-start) start= ;;
    --privileges) privileges=1 ;;
    --instance) instance=${2:?--instance needs a name}; shift ;;
    --uninstall) do=uninstall ;;
    --purge) do=purge ;;
    --check) do=check ;;
    *) echo "install.sh: unknown argument $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
case $instance in *[!a-zA-Z0-9._:-]*) echo "install.sh: \"$instance\" is no name" >&2; exit 2 ;; esac
. "$here/service.sh" # deploy/packages/service.sh; bundle.sh puts it beside this file

# put MODE SOURCE TARGET: replaces the target if it differs, whole or not at all.
put() {
  if cmp -s "$2" "$3"; then return 0; fi
  mkdir -p "$(dirname "$3")"
  cp "$2" "$3.new"
  chmod "$1" "$3.new"
  mv -f "$3.new" "$3"
  changed=1
  echo "  $3"
}

# secret SOURCE TARGET: of the probe's user alone.
secret() {
  [ -f "$1" ] || return 0
  put 400 "$1" "$2"
  chown "$user:$user" "$2"
}

endpoint_of() { sed -n 's/^ *endpoint: *//p' "$1" | head -n 1; }

# Does a process still run a program that was replaced?  An earlier run may have ended before it
# could restart it.
runs_old() { ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q '/usr/bin/fengsui-probe (deleted)'; }

lay_down() {
  make_user
  make_home
  put 755 "$here/fengsui-probe" /usr/bin/fengsui-probe
  if [ ! -e "$config" ]; then
    put 644 "$here/probe.yml" "$config"
    if [ -n "$instance" ]; then echo "instance: $instance" >>"$config"; fi
  elif ! cmp -s "$here/probe.yml" "$config" && ! grep -v '^instance: ' "$config" | cmp -s "$here/probe.yml" -; then
    # What the archive would have said lies beside it.
    cp "$here/probe.yml" "$config.new"
    chmod 644 "$config.new"
  fi
  # The key belongs to the address: of another collector it would open nothing.
  if [ -e /etc/fengsui/collector.pub ] && [ "$(endpoint_of "$config")" != "$(endpoint_of "$here/probe.yml")" ]; then
    secret "$here/collector.pub" /etc/fengsui/collector.pub.new
  else
    secret "$here/collector.pub" /etc/fengsui/collector.pub
  fi
  if [ ! -e "$home/probe.key" ]; then secret "$here/enrol.token" /etc/fengsui/enrol.token; fi
  if systemd_runs; then
    unit=fengsui-probe.service
    if needs_old_unit; then unit=fengsui-probe-el7.service; fi
    put 644 "$here/$unit" /etc/systemd/system/fengsui-probe.service
    if [ -n "$privileges" ]; then
      put 644 "$here/probe-privileges.conf" /etc/systemd/system/fengsui-probe.service.d/privileges.conf
    fi
  else
    put 755 "$here/fengsui-probe.init" /etc/init.d/fengsui-probe
    if [ -d /etc/logrotate.d ]; then put 644 "$here/fengsui-probe.logrotate" /etc/logrotate.d/fengsui-probe; fi
    if upstart_runs; then put 644 "$here/fengsui-probe.upstart" /etc/init/fengsui-probe.conf; fi
    if [ -n "$privileges" ]; then
      settings=/etc/default
      if [ -d /etc/sysconfig ]; then settings=/etc/sysconfig; fi
      if ! grep -qs '^CAPABILITIES=' "$settings/fengsui-probe"; then
        echo 'CAPABILITIES=dac_read_search,sys_ptrace' >>"$settings/fengsui-probe"
        changed=1
      fi
    fi
  fi
}

remove() {
  stop_service
  disable_at_boot
  rm -f /usr/bin/fengsui-probe /etc/systemd/system/fengsui-probe.service /etc/init.d/fengsui-probe \
    /etc/init/fengsui-probe.conf /etc/logrotate.d/fengsui-probe \
    /etc/systemd/system/fengsui-probe.service.d/privileges.conf
  rmdir /etc/systemd/system/fengsui-probe.service.d 2>/dev/null || true
  reload_manager
}

if [ $do = check ]; then exec "$here/fengsui-probe" --config "$here/probe.yml" --check; fi
if [ "$(id -u)" != 0 ]; then
  echo "install.sh: needs root; try: sudo $0" >&2
  exit 1
fi
# Two ways to install must not fight over one file.
if { command -v dpkg-query >/dev/null 2>&1 && dpkg-query -S /usr/bin/fengsui-probe >/dev/null 2>&1; } ||
  { command -v rpm >/dev/null 2>&1 && rpm -qf /usr/bin/fengsui-probe >/dev/null 2>&1; }; then
  echo "install.sh: /usr/bin/fengsui-probe belongs to a package here; upgrade or remove that one" >&2
  exit 1
fi

case $do in
  uninstall)
    remove
    echo "fengsui-probe is gone; /etc/fengsui and $home are left (--purge takes them, too)"
    ;;
  purge)
    remove
    rm -rf "$home"
    rm -f "$config" "$config.new" /etc/fengsui/collector.pub /etc/fengsui/collector.pub.new /etc/fengsui/enrol.token /var/log/fengsui-probe.log
    rm -f /etc/default/fengsui-probe /etc/sysconfig/fengsui-probe
    rmdir /etc/fengsui 2>/dev/null || true
    echo "fengsui-probe is gone, with its configuration, key and spool; the user $user stays"
    ;;
  install)
    # Nothing is replaced by what would not stay up.
    checked=$config
    if [ ! -e "$checked" ]; then checked=$here/probe.yml; fi
    said=$("$here/fengsui-probe" --config "$checked" --check 2>&1) || { echo "$said" >&2; exit 1; }
    echo "fengsui-probe: what is new here:"
    lay_down
    if [ -z "$changed" ]; then echo "  nothing"; fi
    # Nothing is started that would not stay up.
    said=$(/usr/bin/fengsui-probe --config "$config" --check 2>&1) || { echo "$said" >&2; exit 1; }
    reload_manager
    enable_at_boot
    if [ -z "$start" ]; then exit 0; fi
    if [ -n "$changed" ] || runs_old; then restart_if_running; fi
    start_service
    ;;
esac
