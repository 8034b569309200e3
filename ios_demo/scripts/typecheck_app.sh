#!/usr/bin/env bash
# Type-checks DepthDemo against the stub modules in LinuxStubs, each after those it imports, with the Swift on PATH. Called by check_linux.sh.
# typecheck_app.sh IOS_DEMO BUILD
set -euo pipefail
demo=$1
modules=$2/stubs
order=(ObjectiveC Darwin CryptoKit CoreGraphics CoreVideo CoreMedia CoreImage CoreML Vision AVFoundation UIKit SwiftUI)

if [ ! -e "$modules/done" ] || [ -n "$(find "$demo/LinuxStubs" "$demo/scripts" -newer "$modules/done" -type f)" ]; then
  rm -rf "$modules"
  mkdir -p "$modules"
  for module in "${order[@]}"; do
    swiftc -swift-version 6 -emit-module -parse-as-library -module-name "$module" -I "$modules" \
      -emit-module-path "$modules/$module.swiftmodule" "$demo/LinuxStubs/$module.swift"
  done
  touch "$modules/done"
fi
swiftc -swift-version 6 -emit-module -parse-as-library -module-name DepthCore -emit-module-path "$modules/DepthCore.swiftmodule" \
  "$demo"/DepthCore/Sources/DepthCore/*.swift
# Data races and use before initialisation are found after type-checking proper, on the way to SIL.
find "$demo/DepthDemo" -name '*.swift' -print0 | sort -z |
  xargs -0 swiftc -swift-version 6 -emit-sil -o /dev/null -wmo -warnings-as-errors -parse-as-library -module-name DepthDemo -I "$modules"
