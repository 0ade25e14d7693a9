import Synchronization

/// A setting that is read again when the file it came from changes.
///
/// Kubernetes rotates a mounted secret by putting another file in its place; the next ``current()`` sees it.
package final class WatchedSetting<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var looked: Looked
    }

    /// Which version of the file was read last.
    private enum Looked: Equatable {
        case never
        /// nil: it was not there.
        case at(SettingFile.Version?)
    }

    private let setting: Setting<Value>
    private let file: (variable: String, path: String)?
    private let onProblem: @Sendable (SettingProblem) -> Void
    private let state: Mutex<State>

    init(
        _ setting: Setting<Value>, value: Value, origin: SettingOrigin,
        onProblem: @escaping @Sendable (SettingProblem) -> Void
    ) {
        self.setting = setting
        self.onProblem = onProblem
        if case .file(let variable, let path) = origin { file = (variable, path) } else { file = nil }
        // Not looked yet: the first access reads the file again, so a change since the start is not missed.
        state = Mutex(State(value: value, looked: .never))
    }

    /// A value that never changes, for settings that were not read from anywhere.
    package init(constant value: Value, of setting: Setting<Value>) {
        self.setting = setting
        file = nil
        onProblem = { _ in }
        state = Mutex(State(value: value, looked: .never))
    }

    /// The value in force: one `stat` when it comes from a file, which is read only when it has changed.
    ///
    /// A file that is gone or holds a wrong value leaves the value before in force; the problem is told once
    /// for each version of the file.
    package func current() -> Value {
        guard let file else { return state.withLock(\.value) }
        let looked = Looked.at(SettingFile.Version(path: file.path))
        let known = state.withLock { $0.looked == looked ? $0.value : nil }
        if let known { return known }
        do throws(SettingProblem) {
            let value = try read(file.path, variable: file.variable)
            return state.withLock {
                $0 = State(value: value, looked: looked)
                return value
            }
        } catch {
            onProblem(error)
            return state.withLock {
                $0.looked = looked
                return $0.value
            }
        }
    }

    private func read(_ path: String, variable: String) throws(SettingProblem) -> Value {
        let text = try SettingFile.read(path, for: setting, variable: variable)
        guard let value = setting.parse(text) else {
            throw SettingProblem(setting, value: text, note: " (from \(variable)=\(Redaction.shown(path)))")
        }
        return value
    }
}
