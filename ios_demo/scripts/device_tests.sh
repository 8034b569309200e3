#!/usr/bin/env bash
# On a Mac: runs the unit tests, latency tests among them, on a connected phone or in a simulator.
#
# NOT RUN HERE: written from the help text of xcodebuild (Xcode 16), checked for syntax only.
#
# device_tests.sh DESTINATION
#   DESTINATION  as xcodebuild takes it: 'platform=iOS,name=My iPhone', 'platform=iOS Simulator,name=iPhone 16'
set -euo pipefail
demo=$(cd "$(dirname "$0")/.." && pwd)
destination=${1:?give a destination, such as \'platform=iOS,name=My iPhone\'}
build=${FCRN_BUILD:-$HOME/Library/Caches/fcrn-mobile/xcode}

command -v xcodebuild >/dev/null || { echo "xcodebuild is not here: this needs a Mac with Xcode 16 or newer" >&2; exit 2; }
rm -rf "$build/tests.xcresult"
xcodebuild -project "$demo/DepthDemo.xcodeproj" -scheme DepthDemo -destination "$destination" -derivedDataPath "$build" \
  -resultBundlePath "$build/tests.xcresult" -allowProvisioningUpdates test
swift test --package-path "$demo/DepthCore" --scratch-path "$build/DepthCore"
echo "times: xcrun xcresulttool get test-results metrics --path $build/tests.xcresult"
