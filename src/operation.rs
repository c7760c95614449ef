//! The operations of the API, by name.

use std::fmt;

/// An operation of the API, as the contract describes it.
///
/// Errors of the client say which operation failed, so that logs and metrics can be grouped by it.
///
/// ```
/// use agentgate::Operation;
///
/// let submit = Operation::CREATE_WORK_ORDER;
/// assert_eq!((submit.method(), submit.path()), ("POST", "/v1/work-orders"));
/// assert_eq!(submit.scope(), "work-orders:write");
/// assert!(!submit.is_idempotent());
/// assert!(Operation::ALL.contains(&submit));
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
    /// The advice for an error status that means something of its own for this operation.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    advice: &'static [(u16, &'static str)],
}

impl Operation {
    /// Its name in the contract, for example `createWorkOrder`.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Returns a summary, for example `Submit a work order`.
    #[must_use]
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// Its HTTP method, in upper case.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// Its path with placeholders, for example `/v1/runs/{id}`.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The scope that an API key needs for it. A key with scope `*` may do everything.
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        self.scope
    }

    /// The advice for an error status that means something of its own for this operation.
    #[cfg(feature = "client")]
    pub(crate) fn advice(self) -> impl Iterator<Item = (u16, &'static str)> {
        self.advice.iter().copied()
    }

    /// Returns `true` if a repetition has no further effect. Only then is it retried when it is not known
    /// whether the service has acted.
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

/// The name in the contract.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({} {} {})", self.id, self.method, self.path)
    }
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));
