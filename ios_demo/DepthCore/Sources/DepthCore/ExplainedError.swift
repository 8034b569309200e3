import Foundation

/// An error whose description says in one line what is wrong, to a log and on the screen alike.
public protocol ExplainedError: LocalizedError, CustomStringConvertible {}

extension ExplainedError {
  /// The description.
  public var errorDescription: String? { description }
}
