//! The operations of the API, by name.

#[cfg(feature = "client")]
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// An operation of the API, as the contract describes it.
///
/// Errors of the client name the operation that failed, so that logs and metrics can be grouped by it. A request made
/// by `Client::request` that is none of the contract's operations has the id `request`, its method, and an empty path
/// and scope.
///
/// ```
/// use agentgate::Operation;
///
/// let submit = Operation::CREATE_WORK_ORDER;
/// assert_eq!((submit.method(), submit.path()), ("POST", "/v1/work-orders"));
/// assert_eq!(submit.scope(), "work-orders:write");
/// assert!(!submit.is_idempotent());
/// assert!(Operation::ALL.contains(&submit));
/// assert_eq!("createWorkOrder".parse(), Ok(submit));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    id: &'static str,
    summary: &'static str,
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    idempotent: bool,
    returns_secret: bool,
    /// The advice for each error status that has a meaning of its own for this operation.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    advice: &'static [(u16, &'static str)],
}

impl Operation {
    /// Returns the name in the contract, for example `createWorkOrder`.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Returns a summary, for example `Submit a work order`.
    #[must_use]
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// Returns the HTTP method, in upper case.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the path with placeholders, for example `/v1/runs/{id}`.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Returns the scope that an API key needs for the operation, empty if it needs none. A key with scope `*` may do
    /// everything.
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        self.scope
    }

    /// Returns the advice for each error status that has a meaning of its own for this operation.
    #[cfg(feature = "client")]
    pub(crate) fn advice(self) -> impl Iterator<Item = (u16, &'static str)> {
        self.advice.iter().copied()
    }

    /// Returns `true` if a repetition has no further effect. Other operations are not retried if the service may have
    /// acted.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Returns `true` if a successful response holds a secret, and is not to be shown.
    #[cfg(feature = "client")]
    pub(crate) const fn returns_secret(&self) -> bool {
        self.returns_secret
    }
}

/// The methods of requests. `true` if a request that is not an operation of the contract counts as idempotent.
#[cfg(feature = "client")]
const METHODS: [(&str, bool); 7] = [
    ("GET", true),
    ("HEAD", true),
    ("OPTIONS", true),
    ("PUT", true),
    ("DELETE", true),
    ("PATCH", true),
    ("POST", false),
];

#[cfg(feature = "client")]
impl Operation {
    /// Returns the operation of the contract that has this method and path, or one that stands for any other request.
    /// Its method is empty if it is none of [`METHODS`].
    pub(crate) fn of_request(method: &str, path: &str) -> Self {
        let known = Self::ALL.iter().filter(|operation| operation.method == method && matches(operation.path, path));
        // `/runs/active` and `/runs/{id}:retry` rather than `/runs/{id}`.
        let known = known.min_by_key(|operation| (operation.path.matches('{').count(), Reverse(operation.path.len())));
        known.copied().unwrap_or_else(|| {
            let method = METHODS.iter().find(|(known, _)| *known == method);
            let (method, idempotent) = method.copied().unwrap_or_default();
            Self::unlisted(method, idempotent)
        })
    }

    /// Returns an operation that the contract does not have. Its response may hold anything, so it counts as a secret.
    pub(crate) const fn unlisted(method: &'static str, idempotent: bool) -> Self {
        let (id, summary, returns_secret) = ("request", "Send a request", true);
        Self { id, summary, method, path: "", scope: "", idempotent, returns_secret, advice: &[] }
    }
}

/// Returns whether a path matches a template. Slashes at the end are ignored, as some servers do.
#[cfg(feature = "client")]
fn matches(template: &str, path: &str) -> bool {
    let segments = |path| str::split(path, '/').filter(|segment: &&str| !segment.is_empty());
    let is_alike = |(template, segment): (&str, &str)| match template.split_once('}') {
        // `{id}`, or `{id}:verb`.
        Some((_, verb)) => segment.len() > verb.len() && segment.ends_with(verb),
        None => template == segment,
    };
    segments(template).count() == segments(path).count() && segments(template).zip(segments(path)).all(is_alike)
}

/// The name in the contract.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// The error of a name that is no operation's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOperation(String);

impl fmt::Display for UnknownOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no operation `{}`; `Operation::ALL` lists those that there are", self.0)
    }
}

impl std::error::Error for UnknownOperation {}

/// Reads the name in the contract, such as `createWorkOrder`.
impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find(|operation| operation.id == id).copied().ok_or_else(|| UnknownOperation(id.to_owned()))
    }
}

/// The name in the contract.
impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id)
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({} {} {})", self.id, self.method, self.path)
    }
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));
