#!/usr/bin/env bash
# build.sh - the static probe: one file, no library needed on the host.
#
# libzmq comes from the distribution's own source package (Debian's archive of it needs Kerberos
# and more, which no static program wants); everything else from the distribution's static
# archives.  Result: build/portable/fengsui-probe, stripped.  libuv must be 1.44.2 or older:
# that is the last one for kernels before 3.10.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dependencies.sh
version=4.3.4
prefix=$PWD/build/portable-deps
work=$PWD/build/portable-work

install_packages build
install_debian g++ dpkg-dev
uv=$(pkg-config --modversion libuv)
case $uv in 1.[0-3]* | 1.4[0-4].*) ;; *) echo "libuv $uv is too new for old kernels" >&2; exit 1 ;; esac

# A list of source packages of our own, so that the host's configuration stays as it is.
fetch_source() {
  local list=$work/sources.list
  mkdir -p "$work/lists/partial" "$work/src"
  if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$work/src.sources"
    list=$work/src.sources
  else
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$list"
  fi
  local options=(-o Dir::Etc::SourceList="$list" -o Dir::Etc::SourceParts=- -o
    Dir::State::Lists="$work/lists")
  apt-get "${options[@]}" -q update >/dev/null
  (cd "$work/src" && apt-get "${options[@]}" -q source --download-only zeromq3 >/dev/null &&
    ls zeromq3_"$version"-*.dsc >/dev/null && rm -rf zeromq3 &&
    dpkg-source --no-check -x zeromq3_"$version"-*.dsc zeromq3 >/dev/null)
}

if [ ! -f "$prefix/lib/libzmq.a" ]; then
  fetch_source
  cmake -S "$work/src/zeromq3" -B "$work/zmq" -G Ninja -DCMAKE_BUILD_TYPE=MinSizeRel \
    -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED=OFF \
    -DBUILD_STATIC=ON -DBUILD_TESTS=OFF -DWITH_PERF_TOOL=OFF -DENABLE_CURVE=ON \
    -DWITH_LIBSODIUM=ON -DWITH_LIBSODIUM_STATIC=ON -DENABLE_WS=OFF -DENABLE_DRAFTS=OFF \
    -DWITH_DOCS=OFF -DWITH_LIBBSD=OFF -DENABLE_CPACK=OFF -DENABLE_PRECOMPILED=OFF \
    -DENABLE_CLANG=OFF -DCMAKE_CXX_FLAGS="-ffunction-sections -fdata-sections" >/dev/null
  cmake --build "$work/zmq" --target install >/dev/null
fi
cmake --preset portable -G Ninja >/dev/null
cmake --build --preset portable
strip build/portable/fengsui-probe
ls -l build/portable/fengsui-probe
