# source_packages.sh - sourced by scripts that build libraries from the distribution's sources.
#
#   fetch_sources WORK NAME...   unpacks source packages into WORK/src/NAME, as they are pinned by
#                                the distribution; what is there already is not fetched again
#
# The list of source packages is our own, so that the host's configuration stays as it is.  What a
# source package carries beside the upstream archive (its patches) is applied by dpkg-source.

# A mirror may name a version and not have its files (yet, or any more): then the one before it.
fetch_one_source() {
  local folder=$1 name=$2 version
  shift 2
  for version in $(apt-cache "$@" showsrc "$name" | sed -n 's/^Version: //p' | sort -rV | uniq); do
    (cd "$folder" && rm -f "$name"_*.dsc &&
      apt-get "$@" -q source --download-only "$name=$version") >"$folder/$name.log" 2>&1 && return 0
  done
  cat "$folder/$name.log" >&2
  return 1
}

fetch_sources() {
  local work=$1 list=$1/sources.list name missing=
  shift
  for name in "$@"; do [ -d "$work/src/$name" ] || missing="$missing $name"; done
  [ -n "$missing" ] || return 0
  mkdir -p "$work/lists/partial" "$work/archives"
  if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    list=$work/src.sources
    sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$list"
  else
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$list"
  fi
  local options=(-o Dir::Etc::SourceList="$list" -o Dir::Etc::SourceParts=- -o
    Dir::State::Lists="$work/lists")
  apt-get "${options[@]}" -q update >/dev/null || return 1
  mkdir -p "$work/src"
  for name in $missing; do
    fetch_one_source "$work/archives" "$name" "${options[@]}" || return 1
    rm -rf "$work/src/$name.part"
    dpkg-source --no-check -x "$work/archives/$name"_*.dsc "$work/src/$name.part" >/dev/null &&
      mv "$work/src/$name.part" "$work/src/$name" || return 1
  done
}
