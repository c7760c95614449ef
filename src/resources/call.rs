//! What all calls have in common.

use std::future::{Future, Ready, ready};
use std::pin::Pin;

use crate::transport::Call;
use crate::types::Id;
use crate::{Error, Response, Result};

/// The future of a call. It owns all it needs, so it can be spawned.
pub type CallFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'static>>;

/// Refuses an id that would change the path it is put in.
pub(crate) fn check_id<I: Id>(id: &I) -> Result<()> {
    let problem = match id.as_str() {
        id if id.trim().is_empty() => "is empty",
        "." | ".." => "is a step in a path, not an id",
        // In a URL it is as good as a slash, and progenitor's `encode_path` leaves it as it is.
        id if id.contains(char::is_control) => "holds a control character, such as a line end",
        id if id.contains('\\') => "holds a backslash, as no id does",
        _ => return Ok(()),
    };
    Err(Error::invalid_request(format!("the {} {problem}", spaced(I::NAME)), "Give the id as the service wrote it."))
}

/// `WorkOrderId` → `work order id`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// Defines a call: a builder that can be awaited.
///
/// The fields in the first braces are required, `filters` are not; `path [id]` names the fields that stand in the path;
/// `|this, api|` sends the request by a generated function, and `then` has a second look at the result.
macro_rules! call {
    (
        $(#[$doc:meta])*
        $name:ident($operation:ident) -> $output:ty { $($field:ident: $kind:ty),* $(,)? }
        $(filters { $($filter:ident: $filter_kind:ty),* $(,)? })?
        path [$($id:ident),*]
        |$this:ident, $api:ident| $send:expr
        $(; then $then:path)?
    ) => {
        $(#[$doc])*
        #[must_use = "a call does nothing until it is awaited"]
        pub struct $name {
            pub(super) client: $crate::Client,
            pub(super) options: $crate::transport::CallOptions,
            $(pub(super) $field: $kind,)*
            $($(pub(super) $filter: Option<$filter_kind>,)*)?
        }

        impl $name {
            pub(super) fn new(client: $crate::Client, $($field: $kind),*) -> Self {
                Self {
                    client,
                    options: ::std::default::Default::default(),
                    $($field,)*
                    $($($filter: None,)*)?
                }
            }

            /// How long one attempt of this call may take, in place of the client's
            /// [`timeout`](crate::ClientBuilder::timeout).
            pub fn timeout(mut self, timeout: ::std::time::Duration) -> Self {
                self.options.timeout = Some(timeout);
                self
            }

            /// How many attempts of this call may follow the first, in place of the client's
            /// [`max_retries`](crate::ClientBuilder::max_retries).
            pub fn max_retries(mut self, retries: u32) -> Self {
                self.options.max_retries = Some(retries);
                self
            }

            /// How long this call may take in all, its retries and waits among it, in place of the client's
            /// [`deadline`](crate::ClientBuilder::deadline).
            pub fn deadline(mut self, deadline: ::std::time::Duration) -> Self {
                self.options.deadline = Some(deadline);
                self
            }

            /// Gives the value together with status, headers, request id, attempts and rate limit.
            #[must_use = "a call does nothing until it is awaited"]
            pub fn with_response(self) -> $crate::resources::CallFuture<$crate::Response<$output>> {
                ::std::boxed::Box::pin(async move {
                    let $this = &self;
                    $(
                        $crate::resources::call::check_id(&$this.$id)
                            .map_err(|error| error.with_operation($crate::Operation::$operation))?;
                    )*
                    let call = $this.begin($this.options.clone());
                    let result = $this.send(&call).await;
                    $(let result = $then($this, result, &call).await;)?
                    result
                })
            }

            pub(super) fn begin(&self, options: $crate::transport::CallOptions) -> $crate::transport::Call {
                $crate::transport::Call::new(&self.client.transport, $crate::Operation::$operation, options)
            }

            #[allow(unused_variables, reason = "not every call sends something of its own")]
            pub(super) async fn send(
                &self,
                call: &$crate::transport::Call,
            ) -> $crate::Result<$crate::Response<$output>> {
                let ($this, $api) = (self, call.endpoints());
                call.finish($send.await).map(|response| response.map(::std::convert::Into::into))
            }
        }

        impl ::std::future::IntoFuture for $name {
            type Output = $crate::Result<$output>;
            type IntoFuture = $crate::resources::CallFuture<$output>;

            fn into_future(self) -> Self::IntoFuture {
                let call = self.with_response();
                ::std::boxed::Box::pin(async move { call.await.map($crate::Response::into_inner) })
            }
        }

        /// Shows which operation it is, and none of its content.
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name)).field("options", &self.options).finish_non_exhaustive()
            }
        }
    };
}

/// Defines what calls can do that are not idempotent.
macro_rules! not_idempotent {
    ($call:ident, $twice:literal) => {
        impl $call {
            /// Repeats this call also when the service may have done it already.
            ///
            #[doc = concat!("**What it risks:** ", $twice)]
            /// Without it, such a failure is returned, and says
            /// [`may_have_reached_server`](crate::Error::may_have_reached_server).
            pub fn repeatable(mut self) -> Self {
                self.options.repeatable = true;
                self
            }

            /// Sends this `Idempotency-Key`, in place of a random one. All attempts of a call have the same.
            ///
            /// The service documents no such key, so nothing may rely on it; a service that learns it will recognize a
            /// repeated request by it.
            pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
                self.options.idempotency_key = Some(key.into());
                self
            }
        }
    };
}

/// A deletion that finds nothing is done, if an earlier attempt may have done it: its answer was lost.
pub(super) fn deleted<C>(_: &C, result: Result<Response<()>>, _: &Call) -> Ready<Result<Response<()>>> {
    ready(result.or_else(|error| {
        let is_done = error.is_not_found() && error.may_have_reached_server();
        if is_done { Ok(error.into_done()) } else { Err(error) }
    }))
}

/// Defines the filters that lists of runs and of credit transactions share.
macro_rules! tenant_and_page_filters {
    ($call:ident, $items:literal, default $size:literal) => {
        impl $call {
            #[doc = concat!("Only ", $items, " of this tenant.")]
            pub fn tenant(mut self, tenant_id: impl Into<String>) -> Self {
                self.tenant_id = Some(tenant_id.into());
                self
            }

            #[doc = concat!("Only ", $items, " of this user of a tenant.")]
            pub fn tenant_user(mut self, tenant_user_id: impl Into<String>) -> Self {
                self.tenant_user_id = Some(tenant_user_id.into());
                self
            }

            #[doc = concat!("How many ", $items, " a page holds: at most 100. The service's default is ", $size, ".")]
            pub fn limit(mut self, limit: u32) -> Self {
                self.limit = Some(limit);
                self
            }

            #[doc = concat!("How many ", $items, " to skip. The service's default is 0.")]
            pub fn offset(mut self, offset: u32) -> Self {
                self.offset = Some(offset);
                self
            }
        }
    };
}

/// Defines a handle on a resource.
macro_rules! resource {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            client: $crate::Client,
        }

        impl $name {
            pub(crate) fn new(client: $crate::Client) -> Self {
                Self { client }
            }
        }
    };
}
