#!/usr/bin/env bash
# run.sh - the suites a change must pass; installs what is missing, builds, runs, sums up.
#
#   tests/run.sh             everything a change must pass, 25 minutes at most on two cores
#   tests/run.sh --long      that, and soaks, kill campaigns, fuzzing, scale, the static probe
#   tests/run.sh -R REGEX    passed on to ctest
#
# Builds:  release (gcc, all suites) · asan (unit, corpus, integration) · tsan (the collector's
# threads) · clang (compiles with -Werror) · windows (mingw-w64; its suite needs Wine), while other
# suites wait for clocks; with --long also portable.  One ctest runs over all of them and sums up.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/dependencies.sh

AGAIN_MOST=3 # suites that may be asked a second time

mkdir -p build
long=
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --long) long=1 ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$1") ;;
  esac
  shift
done

say() { printf '\n== %s\n' "$*"; }

# Configures and builds a preset; shows what the compiler said only if it failed.
build() {
  local log=build/build-$1.log
  say "build $1"
  { cmake --preset "$1" -G Ninja && cmake --build --preset "$1"; } >"$log" 2>&1 || {
    tail -n 60 "$log"
    exit 1
  }
}

say "packages"
install_packages test
# Large, and wanted last: fetched while the compilers work.
{ install_windows && install_wine; } >build/install-windows.log 2>&1 &
windows=$!
build release
build clang
build asan
build tsan

# One ctest over three build folders: a folder of its own that names them.
suite=build/suite
rm -rf $suite
mkdir -p $suite
echo 'subdirs("../release" "../asan" "../tsan")' >$suite/CTestTestfile.cmake

select=(-LE '^long$')
[ -z "$long" ] || select=()
# Before more is installed: apt-get does not wait for another one's lock.
wait $windows || echo "no mingw-w64 or no Wine to be had here: integration.windows is skipped"
if [ -n "$long" ]; then
  install_java || echo "no Java or no Jolokia to be had here: integration.long.long_jvm is skipped"
  install_kernels build/kernels || echo "no emulator to be had here: integration.long.long_kernels is skipped"
  say "build portable"
  deploy/portable/build.sh >build/build-portable.log 2>&1 || { tail -n 60 build/build-portable.log; exit 1; }
fi
say "tests"
# Four at a time also on two cores: most of them wait for clocks and sockets most of the time.
result=0
ctest --test-dir $suite --output-on-failure -j 4 "${select[@]}" "${arguments[@]}" || result=$?

# A machine that runs four suites at once can starve one of them past its deadlines.  A few that
# failed are asked again, alone, and named; what fails twice, or fails in number, has failed.
failed=$suite/Testing/Temporary/LastTestsFailed.log
if [ $result -ne 0 ] && [ -s $failed ] && [ "$(wc -l <$failed)" -le $AGAIN_MOST ]; then
  say "again, alone: $(cut -d: -f2 $failed | tr '\n' ' ')"
  result=0
  ctest --test-dir $suite --output-on-failure -j 1 --rerun-failed || result=$?
fi
exit $result
