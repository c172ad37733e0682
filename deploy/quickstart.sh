#!/usr/bin/env bash
# quickstart.sh - from a checkout to a watched host: build, start a collector and a probe here.
#
#   ./deploy/quickstart.sh          install what is missing, build, start both, wait for data
#   ./deploy/quickstart.sh --stop   end both
#   FENGSUI_BUILD=DIR ./deploy/quickstart.sh   start the programs of that folder, build nothing
#
# Everything lives in build/quickstart/: fresh keys and data at each start, logs, process ids.
set -euo pipefail
programs=${FENGSUI_BUILD:+$(cd "$FENGSUI_BUILD" && pwd -P)}
cd "$(dirname "$0")/.."
state=$PWD/build/quickstart
shown=${programs:-build/release}
programs=${programs:-$(pwd -P)/build/release}
http=127.0.0.1:9470
ingest=127.0.0.1:9471

# Ends the process of a pid file, if it is (still) the program we started; that one may have been
# built again since, and then its file is a "deleted" one.
stop_one() {
  local file=$state/$1.pid pid= started= i
  [ -f "$file" ] || return 0
  read -r pid started <"$file" || true
  if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe" 2>/dev/null | sed 's/ (deleted)$//')" = "$started" ]; then
    kill "$pid"
    for i in $(seq 600); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$pid" 2>/dev/null; then
      echo "$1 (process $pid) does not stop" >&2
      exit 1
    fi
    echo "stopped $1"
  fi
  rm -f "$file"
}

stop_both() { stop_one fengsui-probe; stop_one fengsui-collector; }

require_free_port() {
  if (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null; then
    echo "something listens on $1 already; stop it first" >&2
    exit 1
  fi
}

# Runs a program in the background, in a session of its own, so that it outlives this shell.
start_one() {
  local name=$1
  shift
  setsid "$programs/$name" "$@" >>"$state/$name.log" 2>&1 </dev/null &
  echo "$! $programs/$name" >"$state/$name.pid"
}

# Waits until a command succeeds; shows the log of the program it waits for if it does not.
wait_until() {
  local what=$1 name=$2 deadline=$((SECONDS + 60))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -gt $deadline ] || ! kill -0 "$(cut -d' ' -f1 "$state/$name.pid")" 2>/dev/null; then
      echo "$what did not happen; the end of $state/$name.log:" >&2
      tail -n 20 "$state/$name.log" >&2
      stop_both
      exit 1
    fi
    sleep 0.2
  done
}

data_flow() {
  curl -sf --max-time 5 "http://$http/api/v1/query" --data-urlencode 'query=count(node_load1)' |
    grep -q '"value"'
}

# The console's chart library comes from npm.  Where no registry answers, all but the console's
# pages is built all the same; the next run tries again.
build_programs() {
  local targets="fengsui-probe fengsui-collector fengsuictl"
  cmake --preset release -G Ninja -DFENGSUI_CONSOLE=ON >/dev/null &&
    cmake --build --preset release --target $targets && return
  ! find build/release/collector/console -name uPlot.min.css 2>/dev/null | grep -q . || return 1
  echo "quickstart: without the console's pages, for npm could not fetch uPlot" >&2
  cmake --preset release -G Ninja -DFENGSUI_CONSOLE=OFF >/dev/null &&
    cmake --build --preset release --target $targets
}

case ${1:-} in
  '') ;;
  --stop) stop_both; exit 0 ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "unknown argument $1; see --help" >&2; exit 2 ;;
esac

if [ -z "${FENGSUI_BUILD:-}" ]; then
  . deploy/dependencies.sh
  install_packages build
  build_programs
fi

stop_both
require_free_port $http
require_free_port $ingest
rm -rf "$state"
mkdir -p "$state"
# The rules that are installed watch here, too; nobody is notified.
printf 'rules: {files: ["%s/deploy/rules/*.yml"]}\n' "$PWD" >"$state/collector.yml"
start_one fengsui-collector --config "$state/collector.yml" --data "$state/data" --http $http \
  --ingest tcp://$ingest
wait_until "the collector's start" fengsui-collector curl -sf "http://$http/-/ready"
start_one fengsui-probe --state "$state/probe" --collector tcp://$ingest \
  --collector-key "$state/data/keys/collector.pub" --token "$state/data/keys/enrol.token"
wait_until "the first data" fengsui-probe data_flow

"$programs/fengsuictl" --url "http://$http" status
cat <<END

Fengsui watches this host.
  console  http://$http/
  try      $shown/fengsuictl query 'rate(node_cpu_seconds_total{mode="idle"}[1m])'
  logs     $state/*.log
  stop     ./deploy/quickstart.sh --stop
END
