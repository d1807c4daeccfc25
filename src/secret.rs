//! Values that must never be printed.

/// A value nobody may print: it has neither `Debug` nor `Display`, and nor has anything that holds it.
///
/// # Security
/// The compiler is the guard. A `{:?}` on a struct that carries a session cookie, a token or a key
/// does not compile, so none of them reaches a log line, an error or a metric by accident
/// (Traefik CVE-2022-23469 is what happens otherwise).
///
/// ```compile_fail
/// println!("{:?}", session_bearer::secret::Secret::new("hidden"));
/// ```
/// ```compile_fail
/// println!("{}", session_bearer::secret::Secret::new("hidden"));
/// ```
/// ```
/// println!("{}", session_bearer::secret::Secret::new("seen").expose());
/// ```
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Takes `value` out of sight.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that has to use it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}
