#!/usr/bin/env bash
# Type-checks DepthDemo, its tests, and the files that another app can take, against the stub modules in LinuxStubs, with the Swift on PATH.
# Called by check_linux.sh.
# typecheck_app.sh IOS_DEMO BUILD
set -euo pipefail
demo=$1
modules=$2/stubs
# Each after those it imports.
order=(ObjectiveC Darwin CryptoKit CoreGraphics CoreVideo CoreMedia CoreImage CoreML Vision AVFoundation UIKit SwiftUI XCTest)
options=(-swift-version 6 -wmo -warnings-as-errors -parse-as-library -I "$modules")

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
mapfile -d '' app < <(find "$demo/DepthDemo" -name '*.swift' -print0 | sort -z)
mapfile -d '' tests < <(find "$demo/DepthDemoTests" -name '*.swift' -print0 | sort -z)
# Data races and use before initialisation are found after type-checking proper, on the way to SIL.
swiftc "${options[@]}" -module-name DepthDemo -enable-testing -emit-module -emit-module-path "$modules/DepthDemo.swiftmodule" "${app[@]}"
swiftc "${options[@]}" -module-name DepthDemo -emit-sil -o /dev/null "${app[@]}"
swiftc "${options[@]}" -module-name DepthDemoTests -emit-sil -o /dev/null "${tests[@]}"
# What README says can be taken into another app has to stand alone.
swiftc "${options[@]}" -module-name Lifted -emit-sil -o /dev/null \
  "$demo"/DepthDemo/Depth/{DepthModel,DepthReading,VisionDepthModel}.swift "$demo/LinuxStubs/Example/OwnApp.swift"
