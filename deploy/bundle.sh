#!/usr/bin/env bash
# bundle.sh - one archive that makes a host a watched one, without internet and without packages.
#
#   deploy/bundle.sh --collector tcp://10.1.2.3:9471 --keys /var/lib/fengsui/keys
#
#   --collector ENDPOINT  where the hosts reach the collector
#   --keys DIR            the collector's DATA/keys: its public key and enrolment token
#   --key FILE            only the public key; --token FILE  only the token, "none" for none
#   --config FILE         a probe.yml for all hosts (default: deploy/config/probe.yml)
#   --probe FILE          the static probe (default: made by deploy/portable/build.sh)
#   --output FILE         default: build/fengsui-probe-VERSION.tar.gz
#
# Copy the archive to a host, then as root:
#
#   tar xzf fengsui-probe-0.1.0.tar.gz && fengsui-probe-0.1.0/install.sh
#
# install.sh finds systemd, upstart or SysV init by itself, makes the user, starts the probe; once
# more it upgrades, and keeps configuration, key and spool.  ./install.sh --help says the rest.
# The archive holds the token: whoever has it can enrol a host.  It is made readable for its owner alone.
set -euo pipefail
from=$PWD
help() { sed -n '2,20s/^# \{0,1\}//p' "deploy/bundle.sh"; }
absolute() { case $1 in /*) echo "$1" ;; *) echo "$from/$1" ;; esac; }
refuse() { echo "bundle.sh: $*; see --help" >&2; exit 2; }
cd "$(dirname "$0")/.."
collector= key= token= config=deploy/config/probe.yml probe= output=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) help; exit 0 ;;
    --collector | --keys | --key | --token | --config | --probe | --output)
      [ $# -ge 2 ] || refuse "$1 needs a value"
      case $1 in
        --collector) collector=$2 ;;
        --keys) key=$(absolute "$2")/collector.pub token=$(absolute "$2")/enrol.token ;;
        --key) key=$(absolute "$2") ;;
        --token) token=$2; [ "$2" = none ] || token=$(absolute "$2") ;;
        --config) config=$(absolute "$2") ;;
        --probe) probe=$(absolute "$2") ;;
        --output) output=$(absolute "$2") ;;
      esac
      shift ;;
    *) refuse "unknown argument $1" ;;
  esac
  shift
done
case $collector in tcp://*:*) ;; '') refuse "--collector is missing" ;; *) refuse "--collector: \"$collector\" is no tcp://HOST:PORT" ;; esac
case $collector in *[!a-zA-Z0-9:/._\[\]-]*) refuse "--collector: \"$collector\" is no tcp://HOST:PORT" ;; esac
[ -n "$key" ] || refuse "--keys is missing"
[ -r "$key" ] || refuse "$key cannot be read"
[ -n "$token" ] || refuse "--token is missing; \"none\" if every host is to be approved by hand"
[ "$token" = none ] || [ -r "$token" ] || refuse "$token cannot be read"
[ -r "$config" ] || refuse "$config cannot be read"
grep -q '^ *endpoint:' "$config" || refuse "$config has no line \"endpoint:\" for --collector"
if [ -z "$probe" ]; then
  probe=$PWD/build/portable/fengsui-probe
  deploy/portable/build.sh # builds what has changed: an older one would say the same version
fi

version=$("$probe" --version | sed 's/^fengsui-probe //')
output=${output:-$PWD/build/fengsui-probe-$version.tar.gz}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=$work/fengsui-probe-$version
umask 077
mkdir -p "$folder" "$(dirname "$output")"
install -m 755 "$probe" "$folder/fengsui-probe"
install -m 755 deploy/bundle/install.sh deploy/init/fengsui-probe.init "$folder/"
install -m 644 deploy/packages/service.sh deploy/systemd/fengsui-probe.service \
  deploy/systemd/fengsui-probe-el7.service deploy/systemd/probe-privileges.conf \
  deploy/init/fengsui-probe.upstart deploy/init/fengsui-probe.logrotate "$key" LICENSE "$folder/"
mv "$folder/$(basename "$key")" "$folder/collector.pub" 2>/dev/null || true
sed "s|^\( *endpoint:\) *[^ #]*|\1 $collector|" "$config" >"$folder/probe.yml"
chmod 644 "$folder/probe.yml"
[ "$token" = none ] || install -m 600 "$token" "$folder/enrol.token"
# Installed from here, it must be good: better to hear of it now than on sixty hosts.
"$folder/fengsui-probe" --config "$folder/probe.yml" --state "$work/state" --check >"$work/said" ||
  { cat "$work/said" >&2; exit 2; }
tar -C "$work" --owner=0 --group=0 --numeric-owner -czf "$output" "$(basename "$folder")"
chmod 600 "$output"
cat <<END
$output ($(($(stat -c %s "$output") / 1024)) KiB)
On a host, as root:
  tar xzf $(basename "$output") && $(basename "$folder")/install.sh
Many hosts: deploy/ansible/README.md
END
