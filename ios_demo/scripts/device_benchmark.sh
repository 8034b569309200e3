#!/usr/bin/env bash
# On a Mac: builds the app, installs it on a connected phone, measures every model in it, fetches the reports, and imports them.
#
# NOT RUN HERE: written from the help texts of xcodebuild and devicectl (Xcode 16), checked for syntax only.
#
# device_benchmark.sh DEVICE [FOLDER [--live] [--warm-up=N] [--runs=N]]
#   DEVICE  name or identifier, as `xcrun devicectl list devices` shows it
#   FOLDER  where reports go; device-reports by default
#   --live  measures the running camera instead of a still image; the phone asks once whether it may
#
# Signing needs your team in Config/Local.xcconfig (see README.md), and models in Models/.
set -euo pipefail
demo=$(cd "$(dirname "$0")/.." && pwd)
device=${1:?give a device: xcrun devicectl list devices}
reports=${2:-device-reports}
asked=("${@:3}")
build=${FCRN_BUILD:-$HOME/Library/Caches/fcrn-mobile/xcode}

main() {
  command -v xcodebuild >/dev/null || { echo "xcodebuild is not here: this needs a Mac with Xcode 16 or newer" >&2; exit 2; }
  compgen -G "$demo/Models/*.mlpackage" >/dev/null || { echo "no model in $demo/Models: fcrn-mobile ios-install MODEL.mlpackage" >&2; exit 2; }
  build_app
  local app=$build/Build/Products/Release-iphoneos/DepthDemo.app bundle
  bundle=$(/usr/libexec/PlistBuddy -c 'Print :CFBundleIdentifier' "$app/Info.plist")
  xcrun devicectl device install app --device "$device" "$app"
  # Waits for the app, which ends by itself, and ends as it ended. Behind -- stands what is the app's own.
  xcrun devicectl device process launch --console --terminate-existing --device "$device" "$bundle" -- --benchmark ${asked[@]+"${asked[@]}"}
  fetch "$bundle"
}

build_app() {
  xcodebuild -project "$demo/DepthDemo.xcodeproj" -scheme DepthDemo -configuration Release -destination generic/platform=iOS \
    -derivedDataPath "$build" -allowProvisioningUpdates -quiet build
}

# The app's own folder of reports, as the Files app shows it; old ones come with it.
fetch() {
  mkdir -p "$reports"
  xcrun devicectl device copy from --device "$device" --domain-type appDataContainer --domain-identifier "$1" \
    --source Documents/benchmarks --destination "$reports"
  if command -v fcrn-mobile >/dev/null; then
    find "$reports" -name '*.json' -print0 | xargs -0 fcrn-mobile bench --import
  else
    echo "reports are in $reports: fcrn-mobile bench --import FILES shows them"
  fi
}

main
