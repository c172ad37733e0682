#!/usr/bin/env bash
# run.sh - our programs and their peers on this machine, in one run, as ratios.
#
#   tests/bench/run.sh                  everything, some three hours on two cores
#   tests/bench/run.sh --quick          small data and short runs, some five minutes
#   tests/bench/run.sh [--quick] PART   stores | queries | disk | agents | probe | logpath |
#                                       alerting | churn | names | backfill | restart | memory |
#                                       paced | report
#
#   stores   ingest, memory, disk, kill -9, alert rules
#   restart  kill -9 with a hundred million samples stored, to the first full answer
#   memory   a series, at a hundred thousand and at a million
#   paced    acknowledgements at half of what goes in at most
#   queries  what dashboards ask, cold and moved by a step; alert rules
#   disk     only bytes a sample of four sets
#   agents   node_exporter, process-exporter and our probe with 500 extra processes
#   probe    only our probe, normal and portable build
#   logpath  what log lines cost, beside rsyslog's imfile
#   alerting from a condition to its message; ten thousand alerts held
#   churn    a week of series that live an hour
#   names    names and values of labels over many files that hold the same ones
#   backfill what a year written by remote write costs the acknowledgements of live ingest
#   report   print the tables of what was measured last
#
# Installs the peers, builds the release preset; results and report.md are in build/bench.
# FENGSUI_BUILD names another build folder (nothing is built then).
set -euo pipefail
cd "$(dirname "$0")/../.."

quick=
part=all
for argument in "$@"; do
  case $argument in
    --quick) quick=1 ;;
    stores | queries | disk | agents | probe | logpath | alerting | churn | names | backfill | \
      restart | memory | paced | report)
      part=$argument ;;
    -h | --help) sed -n '2,27s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown argument $argument; see --help" >&2; exit 2 ;;
  esac
done

export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3
[ -x $python ] || python=python3
work=${BENCH_DIR:-build/bench}
agent_seconds=${AGENT_S:-60}
stages=limits,gen,repeat,paths,ingest,long,kill,rules
large=,memory,paced,restart
if [ -n "$quick" ]; then
  export HOSTS=${HOSTS:-40} STEPS=${STEPS:-120} LHOSTS=${LHOSTS:-4} LSTEPS=${LSTEPS:-480}
  export MHOSTS=${MHOSTS:-2} MSTEPS=${MSTEPS:-8640}
  export RUNS=${RUNS:-1} QRUNS=${QRUNS:-5} RULE_S=${RULE_S:-10} REST_S=${REST_S:-6}
  export CALM_S=${CALM_S:-2} BSTEPS=${BSTEPS:-60} PACED_S=${PACED_S:-10}
  export MEMORY_STEPS=${MEMORY_STEPS:-8} MEMORY_HOSTS_MOST=${MEMORY_HOSTS_MOST:-240}
  agent_seconds=${AGENT_S:-20}
  stages=limits,gen,paths,ingest,long,kill,rules
  large=
fi

# What was measured before is kept beside.
put_away() {
  local file=$work/results/$1.jsonl
  [ ! -s "$file" ] || mv "$file" "$work/results/$1-$(date +%s -r "$file").jsonl"
}

prepare() {
  . deploy/dependencies.sh
  install_packages test
  if [ -z "${FENGSUI_BUILD:-}" ]; then
    cmake --preset release -G Ninja >/dev/null
    cmake --build --preset release --target \
      fengsui-collector fengsui-probe fengsui-swarm tsgen blast limits logpath
  fi
}

bench() {
  put_away stores
  $python tests/bench/bench.py "$1"
}

agents() {
  put_away agents
  $python tests/bench/agents.py -d "${DUMMIES:-500}" -t "$agent_seconds" "$@"
}

# lines.md in the work folder.
logpath() {
  put_away lines
  install_debian rsyslog || true
  FENGSUI_BUILD=${FENGSUI_BUILD:-build/release} BENCH_DIR=$work $python tests/bench/lines.py "$@"
}

[ $part = report ] || prepare
# Tables of their own: latency.md and alerts_held.md in the work folder.
alerting() {
  export FENGSUI_BUILD=${FENGSUI_BUILD:-build/release} BENCH_DIR=$work
  $python tests/bench/latency.py ${quick:+--quick} && $python tests/bench/alerts_held.py
}

# A week of series that live an hour; churn.md in the work folder.
churn() {
  FENGSUI_BUILD=${FENGSUI_BUILD:-build/release} BENCH_DIR=$work $python tests/bench/churn.py "$@"
}

# A table on the standard output.
names() {
  FENGSUI_BUILD=${FENGSUI_BUILD:-build/release} $python tests/bench/names.py "$@"
}

# Tables of their own: queries.md.
queries() {
  put_away queries
  [ $# -gt 0 ] || put_away stores
  BENCH_DIR=$work $python tests/bench/query/run.py "$@" && BENCH_DIR=$work $python tests/bench/query/table.py
}

# backfill.md in the work folder.
backfill() {
  FENGSUI_BUILD=${FENGSUI_BUILD:-build/release} BENCH_DIR=$work $python tests/bench/backfill.py "$@"
}

failed=
case $part in
  all)
    agents || failed=1
    logpath ${quick:+60 1} || failed=1
    bench $stages$large
    queries wide long month || failed=1 # the rules were a stage already
    alerting || failed=1
    churn ${quick:+4000 48} || failed=1
    backfill ${quick:+1 10} || failed=1
    ;;
  logpath) logpath ${quick:+60 1} || failed=1 ;;
  alerting) alerting || failed=1 ;;
  churn) churn || failed=1 ;;
  names) names || failed=1 ;;
  backfill) backfill ${quick:+1 10} || failed=1 ;;
  stores) bench $stages ;;
  restart | memory | paced) bench $part ;;
  queries) queries || failed=1 ;;
  disk) bench gen,disk ;;
  agents) agents || failed=1 ;;
  probe) agents fengsui-probe "fengsui-probe portable" || failed=1 ;;
  report) ;;
esac
mkdir -p "$work"
$python tests/bench/report.py
[ -z "$failed" ]
