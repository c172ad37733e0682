#!/usr/bin/env bash
# package.sh - packages for dpkg and RPM, in build/packages/.
#
#   deploy/package.sh              fengsui-probe (static) and fengsui-collector, for this family
#   deploy/package.sh --kind deb|rpm --part probe|collector   one kind, one part only
#   deploy/package.sh --release N  the same version, built once more: its release is N (default 1)
#   deploy/package.sh --output DIR  there, instead of build/packages/
#   FENGSUI_BUILD=DIR deploy/package.sh   of what is built in DIR; nothing is built but the static probe
#   FENGSUI_STATIC_PROBE=FILE ...         that probe instead of deploy/portable/build.sh's
#
# The probe's packages suit every distribution with a kernel from 2.6.32 on.  The collector is
# linked to this distribution's libraries: make its package on the distribution it is for.
set -euo pipefail
release=1
kind= part=
build=${FENGSUI_BUILD:+$(cd "$FENGSUI_BUILD" && pwd -P)}
case ${FENGSUI_STATIC_PROBE:-} in '' | /*) ;; *) FENGSUI_STATIC_PROBE=$PWD/$FENGSUI_STATIC_PROBE ;; esac
cd "$(dirname "$0")/.."
out=$PWD/build/packages
while [ $# -gt 0 ]; do
  case $1 in
    --release) release=${2:?--release needs a number}; shift ;;
    --part) part=${2:?--part needs probe or collector}; shift ;;
    --kind) kind=${2:?--kind needs deb or rpm}; shift ;;
    --output) out=$(realpath -m "${2:?--output needs a folder}"); shift ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' deploy/package.sh; exit 0 ;;
    *) echo "package.sh: unknown argument $1; see --help" >&2; exit 2 ;;
  esac
  shift
done

. deploy/dependencies.sh
install_packages package
if [ -z "$build" ]; then
  install_packages build
  cmake --preset release -G Ninja >/dev/null
  cmake --build --preset release --target fengsui-probe fengsui-collector fengsuictl
  build=$PWD/build/release
fi
if [ -z "${FENGSUI_STATIC_PROBE:-}" ]; then
  deploy/portable/build.sh
  FENGSUI_STATIC_PROBE=$PWD/build/portable/fengsui-probe
fi
export FENGSUI_STATIC_PROBE FENGSUI_RELEASE=$release
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p "$out"
kinds=${kind:-$(sed -n 's/^set(CPACK_GENERATOR "\(.*\)")$/\1/p' "$build/CPackConfig.cmake" | tr ';' ' ')}
for kind in $kinds; do
  FENGSUI_PACKAGING=${kind^^} cpack --config "$build/CPackConfig.cmake" -G "${kind^^}" ${part:+-D CPACK_COMPONENTS_ALL="$part"} \
    -B "$out" -D CPACK_DEBIAN_PACKAGE_RELEASE="$release" -D CPACK_RPM_PACKAGE_RELEASE="$release" >"$log" 2>&1 ||
    { cat "$log" >&2; exit 1; }
done
rm -rf "$out/_CPack_Packages"
ls -l "$out"/*.deb "$out"/*.rpm 2>/dev/null || true
