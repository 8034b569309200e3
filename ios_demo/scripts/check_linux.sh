#!/usr/bin/env bash
# Checks of the iOS demo on Linux: DepthCore built and tested, DepthDemo built and tested against stub modules, all linted, the Xcode project
# and the table of APIs read.
#
# Where swift is installed, with that; otherwise with Debian's in a folder of the user's cache, without network. FCRN_SWIFT=install (as
# make ios-check sets) puts it there once: 2.5 GB, needs mmdebstrap and bubblewrap. Where there is none, sources are only parsed: the last
# line says INCOMPLETE, and the exit code is 3 if it was to be installed, else 0. "complete" is said only where nothing was skipped.
#
# check_linux.sh           all of it
# check_linux.sh COMMAND   that command with Swift on PATH, the folder at $DEMO, a folder for files at $BUILD
set -euo pipefail
demo=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fcrn-mobile
root=$cache/swift-root
# Two checkouts that are checked at once need a build folder each.
build=${FCRN_SWIFT_BUILD:-$cache/swift-build}
python=${FCRN_PYTHON:-$demo/../.venv/bin/python}

main() {
  mkdir -p "$build"
  local found=yes
  find_swift || found=no
  if [ $# -gt 0 ]; then
    [ $found = yes ] || { echo "no Swift here: make ios-check installs it" >&2; exit 3; }
    run env DEMO="${places[0]}" BUILD="${places[1]}" "$@"
    return
  fi
  check_project
  if [ $found = yes ]; then
    test_core
    check_app
    lint
    summarise
  else
    parse_only
    [ "${FCRN_SWIFT:-}" != install ] || exit 3
  fi
}

find_swift() {
  if command -v swift >/dev/null; then
    run() { nice -n 5 "$@"; }
    places=("$demo" "$build")
  elif [ -d "$root" ] && command -v bwrap >/dev/null || install_swift; then
    run() { in_root "$@"; }
    places=(/tmp/ios_demo /tmp/build)
  else
    return 1
  fi
}

# The mirror is the one that this machine's apt uses; FCRN_DEBIAN_MIRROR overrides it.
install_swift() {
  [ "${FCRN_SWIFT:-}" = install ] || return 1
  local tool
  for tool in mmdebstrap bwrap; do
    command -v "$tool" >/dev/null || { echo "no $tool here: install mmdebstrap and bubblewrap" >&2; return 1; }
  done
  # shellcheck disable=SC2016 # $(SITE) is apt's
  local mirror=${FCRN_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | head -n 1)}
  [ -n "$mirror" ] || { echo "apt knows no Debian mirror here: name one in FCRN_DEBIAN_MIRROR" >&2; return 1; }
  echo "Swift: installing Debian's into $root, a minute or two"
  rm -rf "$root.partial"
  nice -n 5 mmdebstrap --quiet --variant=apt --include=swiftlang,git,libc6-dev,libstdc++-14-dev trixie "$root.partial" "$mirror" || {
    rm -rf "$root.partial"
    return 1
  }
  mv "$root.partial" "$root"
}

in_root() {
  # A root that was installed before git belonged to it takes this machine's.
  local git=()
  if [ ! -e "$root/usr/bin/git" ] && command -v git >/dev/null; then
    git=(--ro-bind "$(command -v git)" /tmp/git/git --ro-bind "$(git --exec-path)" /tmp/git/core
      --setenv GIT_EXEC_PATH /tmp/git/core --setenv GIT_TEMPLATE_DIR "" --setenv PATH "$PATH:/tmp/git")
  fi
  nice -n 5 bwrap --ro-bind "$root" / --dev /dev --proc /proc --tmpfs /tmp --setenv HOME /tmp --ro-bind "$demo" /tmp/ios_demo \
    --ro-bind-try "$demo/../Package.swift" /tmp/Package.swift \
    --bind "$build" /tmp/build --chdir /tmp/ios_demo "${git[@]}" --unshare-net --die-with-parent -- "$@"
}

check_project() {
  nice -n 5 "$python" -m pytest -p no:cacheprovider -rs "$demo/../tests/ios" --rootdir "$demo/.." >"$build/project.log" 2>&1 || { cat "$build/project.log" >&2; return 1; }
  echo "Xcode project, plists, scheme, asset catalog, scripts, table of APIs, fixtures: $(tail -n 1 "$build/project.log")"
}

test_core() {
  local log=$build/test.log
  if ! run swift test --package-path "${places[0]}/DepthCore" --scratch-path "${places[1]}" -j 1 >"$log" 2>&1; then
    # sed reads all of it: a pipe that closes early would end this script before the line that names the log.
    { grep -vE '^\[[0-9]+/|^◇|^✔|^↳' "$log" || true; } | sed -n '1,60p' >&2
    echo "DepthCore: failed, whole log in $log" >&2
    return 1
  fi
  echo "DepthCore: $(grep -oE 'Test run with .* passed' "$log")"
}

# The frameworks of a Mac's own SDK are not those of iOS: there, Xcode checks the app.
check_app() {
  [ "$(uname)" = Linux ] || return 0
  local log=$build/app.log
  if ! run bash "${places[0]}/scripts/test_app.sh" "${places[@]}" >"$log" 2>&1; then
    sed -n '1,60p' "$log" >&2
    echo "DepthDemo: failed, whole log in $log" >&2
    return 1
  fi
  echo "DepthDemo, built against LinuxStubs: $(tail -n 1 "$log")"
}

lint() {
  local format=(swift format)
  [ "${places[0]}" = "$demo" ] || format=(/usr/libexec/swift/bin/swift-format)
  run "${format[@]}" lint --strict --recursive --configuration "${places[0]}/.swift-format" \
    "${places[0]}"/{DepthCore,DepthDemo,DepthDemoTests,LinuxTests}
  echo "swift-format: clean"
}

# Says "complete" only where no test was skipped.
summarise() {
  local skipped
  skipped=$(sed -n 's/^SKIPPED \[[0-9]*\] //p' "$build/project.log")
  if [ -n "$skipped" ]; then
    printf 'all that ran passed; not complete, skipped here:\n%s\n' "$skipped"
  else
    echo "complete: everything that can be checked without a Mac was"
  fi
}

parse_only() {
  "$python" "$demo/scripts/parse_swift.py" "$demo"
  cat <<END

*** INCOMPLETE: no Swift here. Sources were parsed; nothing was compiled, tested, type-checked or linted. ***
To complete it: install mmdebstrap and bubblewrap, then run make ios-check (2.5 GB once, into $cache).
END
}

main "$@"
