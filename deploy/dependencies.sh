# dependencies.sh - what building, running and testing need, by package manager; sourced.
#
#   install_packages build    libraries and tools to build
#   install_packages package  what deploy/package.sh needs beside that
#   install_packages test     all of it, and what tests/run.sh uses
#   install_windows           what deploy/windows/build.sh compiles with
#   install_wine              what its program is tested with
#   install_java              what the jvm source is tested with
#   install_kernels FOLDER    what boots real kernels, and kernels into FOLDER
#
# Debian 12 and later; RPM families with EPEL (names as in Fedora and EPEL 9).

debian_build="gcc cmake ninja-build make pkg-config git libzmq3-dev libprotobuf-c-dev
 protobuf-c-compiler liblmdb-dev libuv1-dev libsodium-dev libzstd-dev libsnappy-dev libxxhash-dev
 libroaring-dev libpcre2-dev libyaml-dev libmicrohttpd-dev libcurl4-gnutls-dev libjansson-dev
 libcmocka-dev zlib1g-dev libgnutls28-dev curl"
debian_test="clang clang-tidy cppcheck libclang-rt-14-dev llvm-14 procps iproute2
 nftables gnutls-bin openssl python3-zmq python3-protobuf protobuf-compiler python3-yaml
 python3-zstandard python3-snappy python3-aiosmtpd python3-xxhash mandoc prometheus
 prometheus-node-exporter prometheus-process-exporter prometheus-alertmanager victoria-metrics
 faketime zstd dbus-daemon python3-dbus python3-gi chromium chromium-driver python3-selenium qemu-user ansible-core
 debootstrap systemd-container nginx-light squid memcached redis-server
 lintian rpmlint"
debian_windows="dpkg-dev gcc-mingw-w64-x86-64-posix g++-mingw-w64-x86-64-posix"
debian_java="default-jre-headless libjolokia-core-java libjetty9-java libservlet-api-java libjson-simple-java"
debian_package="rpm file dpkg-dev"
rpm_package="rpm-build file"
rpm_build="gcc cmake ninja-build make pkgconf-pkg-config git zeromq-devel protobuf-c-devel
 protobuf-c-compiler lmdb-devel libuv-devel libsodium-devel libzstd-devel snappy-devel
 xxhash-devel roaring-devel pcre2-devel libyaml-devel libmicrohttpd-devel libcurl-devel
 jansson-devel libcmocka-devel zlib-devel gnutls-devel curl"
rpm_test="clang clang-tools-extra cppcheck compiler-rt llvm lmdb procps-ng iproute nftables
 gnutls-utils openssl python3-zmq python3-protobuf protobuf-compiler python3-pyyaml
 python3-zstandard python3-snappy python3-aiosmtpd python3-xxhash mandoc zstd dbus-daemon
 python3-dbus python3-gobject-base chromium chromedriver"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else
    echo "packages are missing and this user is not root; as root run: $*" >&2
    return 1
  fi
}

# Services of freshly installed peers must not start by themselves.
without_services() {
  local policy=/usr/sbin/policy-rc.d made=
  if [ -d /usr/sbin ] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod 755 $policy
    made=1
  fi
  "$@"
  local code=$?
  [ -z "$made" ] || as_root rm -f $policy
  return $code
}

install_debian() {
  local missing= name
  for name in "$@"; do
    dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q ' installed$' ||
      missing="$missing $name"
  done
  [ -n "$missing" ] || return 0
  echo "installing:$missing"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null || return 1
  without_services as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends $missing >/dev/null
}

install_rpm() {
  local missing= name tool=dnf
  command -v dnf >/dev/null || tool=yum
  for name in "$@"; do rpm -q "$name" >/dev/null 2>&1 || missing="$missing $name"; done
  [ -n "$missing" ] || return 0
  echo "installing:$missing"
  as_root $tool install -q -y $missing
}

# npm fetches the console's chart library; one that is there, from wherever, will do.
command -v npm >/dev/null || { debian_build="$debian_build npm"; rpm_build="$rpm_build npm"; }

# What compiles the probe for Windows, from a Debian's source packages; and what runs it here.
install_windows() {
  command -v apt-get >/dev/null && install_debian $debian_windows
}

install_wine() {
  command -v apt-get >/dev/null && install_debian wine64
}

# A Java machine with Jolokia, for tests/integration/long_jvm.py.
install_java() {
  command -v apt-get >/dev/null && install_debian $debian_java
}

# An emulated machine, and the kernels of several releases of Debian, unpacked into FOLDER/RELEASE; nothing of them
# is installed.  Each release is asked by a configuration of its own, so that the host's stays as it is.
install_kernels() {
  command -v apt-get >/dev/null && install_debian qemu-system-x86 busybox-static || return 1
  local mirror release packages
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 !~ /-/ && !seen++ { print $3 }')
  [ -n "$mirror" ] || return 1
  for release in bullseye bookworm trixie trixie-backports; do
    [ -e "$1/$release/fetched" ] || fetch_kernel "$mirror" $release "$1/$release" ||
      echo "no kernel of $release to be had here"
  done
}

# In a subshell, for it changes folder.
fetch_kernel() (
  rm -rf "$3" && mkdir -p "$3/apt/lists/partial" "$3/apt/cache/archives/partial" && cd "$3" || exit 1
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 $2 main" >apt/sources.list
  options="-o Dir::Etc::SourceList=$PWD/apt/sources.list -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists=$PWD/apt/lists -o Dir::Cache=$PWD/apt/cache -o Acquire::Languages=none
    -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root"
  apt-get $options -q update >/dev/null || exit 1
  # The image, and since 7.x what it is made of: the binary and the modules.
  image=$(apt-cache $options depends linux-image-cloud-amd64 | sed -n 's/.* \(linux-image-[0-9].*\)/\1/p')
  [ -n "$image" ] || exit 1
  parts=$(apt-cache $options depends "$image" | sed -n 's/.*Depends: \(linux-\(binary\|modules\)-[0-9].*\)/\1/p')
  apt-get $options -q download "$image" $parts >/dev/null || exit 1
  for package in *.deb; do dpkg-deb -x "$package" . || exit 1; done
  rm -rf apt ./*.deb && touch fetched
)

install_packages() {
  if command -v apt-get >/dev/null; then
    case $1 in
      build) install_debian $debian_build ;;
      package) install_debian $debian_package ;;
      *) install_debian $debian_build $debian_package $debian_test ;;
    esac
  elif command -v rpm >/dev/null; then
    case $1 in
      build) install_rpm $rpm_build ;;
      package) install_rpm $rpm_package ;;
      *) install_rpm $rpm_build $rpm_package $rpm_test ;;
    esac
  else
    echo "no apt-get and no rpm here: install the libraries of README.md by hand" >&2
    return 1
  fi
}
