#!/usr/bin/env bash
# Builds a package of another folder that takes DepthCore from this repository, by path and by the URL of a local clone, with the Swift on
# PATH. Called by check_linux.sh.
# check_package.sh REPOSITORY BUILD
set -euo pipefail
repository=$1
build=$2/package
rm -rf "$build"
mkdir -p "$build/fcrn-mobile/ios_demo" "$build/user/Sources/User"
sources=("path: \"$build/fcrn-mobile\"")
cp "$repository/Package.swift" "$build/fcrn-mobile/"
cp -r "$repository/ios_demo/DepthCore" "$repository/ios_demo/DepthDemo" "$build/fcrn-mobile/ios_demo/"
cat >"$build/user/Sources/User/main.swift" <<'END'
import DepthCore

print(DepthScale.metres(times: 1).text(1.7))
END
if git --version >/dev/null 2>&1; then
  git -C "$build/fcrn-mobile" init --quiet
  git -C "$build/fcrn-mobile" add .
  git -C "$build/fcrn-mobile" -c user.name=check -c user.email=check@localhost commit --quiet -m check
  git -C "$build/fcrn-mobile" tag 1.0.0
  sources+=("url: \"file://$build/fcrn-mobile\", from: \"1.0.0\"")
else
  echo "no git beside Swift: not taken by URL"
fi
for source in "${sources[@]}"; do
  cat >"$build/user/Package.swift" <<END
// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "User", dependencies: [.package($source)],
  targets: [
    .executableTarget(name: "User", dependencies: [.product(name: "DepthCore", package: "fcrn-mobile")])
  ])
END
  rm -rf "$build/user/.build"
  said=$(swift run --package-path "$build/user" -j 1 User 2>"$build/log") || { cat "$build/log" >&2; exit 1; }
  [ "$said" = "1.70 m" ] || { echo "the package says '$said' by $source" >&2; exit 1; }
  echo "DepthCore taken by ${source%%:*}: built and run"
done
