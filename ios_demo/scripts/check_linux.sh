#!/usr/bin/env bash
# Builds and tests DepthCore, type-checks DepthDemo and lints both, on Linux; where swift is installed, with that.
# Otherwise Debian's Swift is put into a folder of its own in the user's cache, once (2.5 GB), and run from there without
# network. Without mmdebstrap and bubblewrap sources are only parsed, and the last line says so.
set -euo pipefail
demo=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fcrn-mobile
root=$cache/swift-root
build=$cache/swift-build

main() {
  mkdir -p "$build"
  if command -v swift >/dev/null; then
    run() { nice -n 5 "$@"; }
    places=("$demo" "$build")
  elif ensure_root; then
    run() { in_root "$@"; }
    places=(/tmp/ios_demo /tmp/build)
  else
    parse_only
    return
  fi
  test_core
  check_app
  lint
}

# The mirror is the one that this machine's apt uses; FCRN_DEBIAN_MIRROR overrides it.
ensure_root() {
  [ -d "$root" ] && return
  local tool
  for tool in mmdebstrap bwrap; do
    command -v "$tool" >/dev/null || { echo "no $tool here: install mmdebstrap and bubblewrap" >&2; return 1; }
  done
  local mirror=${FCRN_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | head -n 1)}
  [ -n "$mirror" ] || { echo "apt knows no Debian mirror here: name one in FCRN_DEBIAN_MIRROR" >&2; return 1; }
  echo "Swift: installing Debian's into $root, a minute or two"
  rm -rf "$root.partial"
  nice -n 5 mmdebstrap --quiet --variant=apt --include=swiftlang,libc6-dev,libstdc++-14-dev trixie "$root.partial" "$mirror" || {
    rm -rf "$root.partial"
    return 1
  }
  mv "$root.partial" "$root"
}

in_root() {
  nice -n 5 bwrap --ro-bind "$root" / --dev /dev --proc /proc --tmpfs /tmp --setenv HOME /tmp --ro-bind "$demo" /tmp/ios_demo \
    --bind "$build" /tmp/build --chdir /tmp/ios_demo --unshare-net --die-with-parent -- "$@"
}

test_core() {
  local log=$build/test.log
  if ! run swift test --package-path "${places[0]}/DepthCore" --scratch-path "${places[1]}" -j 1 >"$log" 2>&1; then
    grep -vE '^\[[0-9]+/|^◇|^✔|^↳' "$log" | head -n 60 >&2
    echo "DepthCore: failed, whole log in $log" >&2
    return 1
  fi
  echo "DepthCore: $(grep -oE 'Test run with .* passed' "$log")"
}

# The frameworks of a Mac's own SDK are not those of iOS: there, Xcode checks the app.
check_app() {
  [ "$(uname)" = Linux ] || return 0
  run bash "${places[0]}/scripts/typecheck_app.sh" "${places[@]}"
  echo "DepthDemo: type-checks against LinuxStubs"
}

lint() {
  local format=(swift format)
  [ "${places[0]}" = "$demo" ] || format=(/usr/libexec/swift/bin/swift-format)
  run "${format[@]}" lint --strict --recursive --configuration "${places[0]}/.swift-format" \
    "${places[0]}"/DepthCore "${places[0]}"/DepthDemo
  echo "swift-format: clean"
}

parse_only() {
  local python=${FCRN_PYTHON:-$demo/../.venv/bin/python}
  "$python" "$demo/scripts/parse_swift.py" "$demo"
  printf '\n*** INCOMPLETE: no Swift here. Sources were parsed; nothing was compiled, tested or linted. ***\n'
}

main
