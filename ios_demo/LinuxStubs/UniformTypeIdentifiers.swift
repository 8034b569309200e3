public struct UTType: Hashable, Sendable {
  let identifier: String
  /// Of the types that it is one of.
  private let wider: [String]

  private init(_ identifier: String, _ wider: [String]) { (self.identifier, self.wider) = (identifier, wider) }

  public static var data: UTType { UTType("public.data", []) }
  public static var image: UTType { UTType("public.image", ["public.data"]) }
  public static var jpeg: UTType { UTType("public.jpeg", ["public.image", "public.data"]) }
  public static var movie: UTType { UTType("public.movie", ["public.data"]) }
  public static var quickTimeMovie: UTType { UTType("com.apple.quicktime-movie", ["public.movie", "public.data"]) }

  public func conforms(to type: UTType) -> Bool { identifier == type.identifier || wider.contains(type.identifier) }
}
