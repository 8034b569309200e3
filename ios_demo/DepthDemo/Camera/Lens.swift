import AVFoundation
import Foundation

/// The lenses of the back camera. Images tell the focal length of the one that took them.
enum Lens: String, CaseIterable, Identifiable {
  case ultraWide
  case wide
  case tele

  var id: Self { self }

  var title: String {
    switch self {
    case .ultraWide: "Ultra-wide"
    case .wide: "Wide"
    case .tele: "Tele"
    }
  }

  /// nil where the device doesn't have it.
  var device: AVCaptureDevice? {
    let type: AVCaptureDevice.DeviceType =
      switch self {
      case .ultraWide: .builtInUltraWideCamera
      case .wide: .builtInWideAngleCamera
      case .tele: .builtInTelephotoCamera
      }
    return AVCaptureDevice.default(type, for: .video, position: .back)
  }

  /// Those that the device has now.
  static var available: [Lens] { allCases.filter { $0.device != nil } }

  /// The one that was chosen, also in an earlier launch.
  static var kept: Lens {
    get { UserDefaults.standard.string(forKey: key).flatMap(Lens.init(rawValue:)) ?? .wide }
    set { UserDefaults.standard.set(newValue.rawValue, forKey: key) }
  }

  private static let key = "lens"
}
