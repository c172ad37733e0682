#!/usr/bin/env bash
# build.sh - the probe for Windows: one .exe for Server 2012 R2 (NT 6.3) and later, built here.
#
# Libraries come from the distribution's source packages (deploy/windows/libraries); mingw-w64
# compiles.  Result: build/windows/fengsui-probe.exe, stripped.  It needs no DLL but the system's:
# the list below is what Server 2012 R2 has, and what is imported from them is asked for by name.
# Ends with 77 where the compiler or the sources cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dependencies.sh
. deploy/source_packages.sh
prefix=$PWD/build/windows-deps
work=$PWD/build/windows-work
exe=build/windows/fengsui-probe.exe
known="ADVAPI32 IPHLPAPI KERNEL32 msvcrt ntdll POWRPROF PSAPI SHELL32 USER32 USERENV WS2_32"
# Of later systems: what a newer libuv or mingw would ask for first.
newer="SetThreadDescription|GetThreadDescription|VirtualAlloc2|MapViewOfFile3|GetTempPath2[AW]|CreateFile3
 |GetSystemTimePreciseAsFileTime2|IsWow64Process2|CreatePseudoConsole
 |QueryUnbiasedInterruptTimePrecise|GetDpiForSystem|SetProcessDpiAwarenessContext|LoadPackagedLibraryEx"

skip() { echo "skipped: $*" >&2; exit 77; }

command -v apt-get >/dev/null || skip "the sources are a Debian's; there is no apt-get here"
install_packages build
install_windows || skip "no mingw-w64 to be had here"
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

if [ ! -f "$prefix/lib/pkgconfig/zlib.pc" ]; then
  fetch_sources "$work" zeromq3 protobuf-c libuv1 libsodium libzstd xxhash libyaml pcre2 zlib ||
    skip "no source packages to be had here"
  cmake -S deploy/windows/libraries -B "$work/libraries" -G Ninja -DSOURCES="$work/src" \
    -DCMAKE_TOOLCHAIN_FILE="$PWD/deploy/windows/toolchain.cmake" -DCMAKE_BUILD_TYPE=MinSizeRel \
    -DCMAKE_INSTALL_PREFIX="$prefix" "${launcher[@]}" >/dev/null
  cmake --build "$work/libraries" -j 2 --target install >/dev/null
fi
cmake --preset windows -G Ninja "${launcher[@]}" >/dev/null
cmake --build --preset windows -j 2 -- --quiet
x86_64-w64-mingw32-strip $exe

imports=$(x86_64-w64-mingw32-objdump -p $exe)
for dll in $(sed -n 's/.*DLL Name: \(.*\)\.[dD][lL][lL]$/\1/p' <<<"$imports"); do
  grep -qiw "$dll" <<<"$known" || { echo "$exe needs $dll.dll, which Server 2012 R2 may lack" >&2; exit 1; }
done
if grep -wE "$(tr -d ' \n' <<<"$newer")" <<<"$imports" >&2; then
  echo "$exe imports what Server 2012 R2 lacks" >&2
  exit 1
fi
ls -l $exe
