//! [`ClientBuilder`]: the settings of a client, and their defaults.

use std::env::VarError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::Client;
use super::base_url;
use super::http::{ConfigureHttp, http_client};
use crate::clock::{Clock, SystemClock};
use crate::follow::FollowState;
use crate::rate_limit::{
    RateLimitMode, RateLimiter, SUBMISSIONS_PER_MINUTE, SharedLimit, SharedRateLimit, organization,
};
#[cfg(feature = "test-util")]
use crate::transport::ReplayFn;
use crate::transport::{
    Backoff, CallEvent, CallOptions, Freshness, KEY_IN_CODE, Middleware, OnEvent, Retry, RetryBudget, Stack, Transport,
};
use crate::{Error, Result, Secret};

const API_KEY: &str = "AGENTGATE_API_KEY";
const BASE_URL: &str = "AGENTGATE_BASE_URL";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BODY_SIZE: usize = 8 * 1024 * 1024;

/// A builder of a [`Client`].
///
/// ```no_run
/// use std::time::Duration;
///
/// # fn main() -> agentgate::Result<()> {
/// let client = agentgate::Client::builder()
///     .api_key("org_live_xxxxxxxx")
///     .timeout(Duration::from_secs(10))
///     .max_retries(5)
///     .user_agent("acme-ci/2.1")
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// A builder can be cloned, to create clients with different settings. Unlike the clones of one client, these clients
/// do not share connections, the rate limiter or the retry budget. To change only the options of calls, use
/// [`Client::with_options`].
///
/// A client can be used on several tokio runtimes. The runtime that opens a connection drives it. If that runtime stops
/// being driven, such as a `current_thread` runtime outside of `block_on`, a call elsewhere that takes the connection
/// within four seconds of its last use ends by its time-out. Give a runtime that is driven at times a client of its
/// own.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    api_key: Option<Secret>,
    /// For errors about the key.
    key_origin: &'static str,
    base_url: Option<String>,
    allow_http: bool,
    options: CallOptions,
    connect_timeout: Option<Duration>,
    max_body_size: usize,
    user_agent: Option<String>,
    http: Option<reqwest::Client>,
    configure_http: Option<Arc<ConfigureHttp>>,
    backoff: Backoff,
    submissions: u32,
    shared_rate_limit: Option<Arc<dyn SharedRateLimit>>,
    on_event: Vec<OnEvent>,
    middleware: Stack,
    clock: Arc<dyn Clock>,
    #[cfg(feature = "test-util")]
    pub(crate) replay: Option<ReplayFn>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            api_key: None,
            key_origin: KEY_IN_CODE,
            base_url: None,
            allow_http: false,
            options: CallOptions::new(),
            connect_timeout: None,
            max_body_size: MAX_BODY_SIZE,
            user_agent: None,
            http: None,
            configure_http: None,
            backoff: Backoff::default(),
            submissions: SUBMISSIONS_PER_MINUTE,
            shared_rate_limit: None,
            on_event: Vec::new(),
            middleware: Vec::new(),
            clock: Arc::new(SystemClock),
            #[cfg(feature = "test-util")]
            replay: None,
        }
    }
}

impl ClientBuilder {
    /// Reads the API key from `AGENTGATE_API_KEY`, and the base URL from `AGENTGATE_BASE_URL` if that is set and not
    /// empty. Values that were set on the builder before take precedence.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the key is not set or either is not Unicode.
    pub fn from_env(self) -> Result<Self> {
        self.with_variables(|name| std::env::var(name))
    }

    fn with_variables(mut self, read: impl Fn(&str) -> Result<String, VarError>) -> Result<Self> {
        if self.api_key.is_none() {
            let Some(key) = variable(API_KEY, &read)? else {
                return Err(Error::configuration(
                    format!("the environment variable {API_KEY} is not set, or empty"),
                    "Set it to a key of your organization (it looks like `org_live_…`), or use `Client::new(key)`.",
                ));
            };
            self = self.api_key(key);
            self.key_origin = "in AGENTGATE_API_KEY";
        }
        if self.base_url.is_none() {
            self.base_url = variable(BASE_URL, &read)?;
        }
        Ok(self)
    }

    /// Sets the API key. White space around it (a line end from a file) is removed. [`build`](Self::build) refuses what
    /// else a copied key may have around it: quotation marks, invisible characters, `Bearer`, the name of a variable.
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = Some(Secret::from(api_key.into().trim()));
        self.key_origin = KEY_IN_CODE;
        self
    }

    /// Sets the address of the service. A path in it is kept and a trailing slash removed. `http://` is accepted for
    /// loopback only, unless [`allow_http`](Self::allow_http) is set. Defaults to `https://agentgate.mynewapi.com`.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Allows `http://` for an address that is not loopback. Everyone on the network path can then read the API key and
    /// all data.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Sets the time limit for one attempt, from connecting to the last byte of the response. Defaults to 30 s, as in
    /// the vendor's own SDK.
    ///
    /// If the time runs out before the body of the request was passed to a connection, nothing was sent. The attempt
    /// then fails with [`ErrorKind::Connect`](crate::ErrorKind::Connect) and is retried, even if
    /// [`connect_timeout`](Self::connect_timeout) is longer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.timeout(timeout);
        self
    }

    /// Sets the time limit for connecting, name resolution and TLS included. Defaults to 10 s, and to nine tenths of
    /// the [`timeout`](Self::timeout) where that is shorter.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Sets the total time limit for a call, including retries and waits. If a wait would end after the deadline, the
    /// call fails at once, with [`retry_after`](crate::Error::retry_after). Defaults to no limit.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options = self.options.deadline(deadline);
        self
    }

    /// Sets the longest total time that a call waits for the rate limit, including the delays after a 429. Defaults to
    /// no limit.
    ///
    /// A call that would have to wait longer fails at once, and a call that has waited this long fails then. Both fail
    /// with [`ErrorKind::RateLimited`](crate::ErrorKind::RateLimited) and
    /// [`retry_after`](crate::Error::retry_after). [`deadline`](Self::deadline) also limits the time of attempts and of
    /// other delays.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn main() -> agentgate::Result<()> {
    /// let client = agentgate::Client::builder()
    ///     .api_key("org_live_xxxxxxxx")
    ///     .max_wait(Duration::from_secs(5)) // a person waits for the page
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.options = self.options.max_wait(wait);
        self
    }

    /// Sets the number of attempts that may follow the first. Defaults to 3, as in the vendor's own SDK.
    ///
    /// See [`Error::is_retryable`](crate::Error::is_retryable) for the failures that are retried. The delay is random:
    /// at most 0.5 seconds before the first retry, and the limit doubles with each further retry, up to
    /// [`max_retry_delay`](Self::max_retry_delay). A `Retry-After` of the service replaces it. The clones of a client
    /// share a retry budget of about 100 retries. Failed calls use it up, and successful calls refill it. While it is
    /// empty, failed calls are not retried, except after a 429. In [`RateLimitMode::Wait`], a 429 takes none of the
    /// retries, up to 30 of them in a call. With 0, nothing is retried.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options = self.options.max_retries(retries);
        self
    }

    /// Sets the longest delay between two attempts. If the service asks for a longer one, the error is returned at
    /// once, with [`retry_after`](crate::Error::retry_after); but see [`RateLimitMode::Wait`]. Defaults to 30 seconds.
    pub fn max_retry_delay(mut self, delay: Duration) -> Self {
        self.backoff.max_delay = delay;
        self
    }

    /// Sets the behavior of calls when the organization's rate limit is exhausted. Defaults to [`RateLimitMode::Wait`].
    ///
    /// The clones of a client share one rate limiter, which reads the limit from the responses, and the end of its
    /// window, up to an hour ahead. If other programs use the same organization, some attempts still get a 429, and are
    /// repeated in the next window.
    pub fn rate_limit_mode(mut self, mode: RateLimitMode) -> Self {
        self.options = self.options.rate_limit_mode(mode);
        self
    }

    /// Sets the number of work orders that may be submitted in a minute. The responses of the service do not report
    /// this limit. Defaults to 20, the limit that the service documents.
    pub fn submissions_per_minute(mut self, submissions: u32) -> Self {
        self.submissions = submissions;
        self
    }

    /// Shares the rate limit with the clients of other processes.
    ///
    /// Permits for calls are leased from the shared limit, in batches. The limit belongs to the organization: clients
    /// share it if they have the same API key and the same [`base_url`](Self::base_url). Only a hash of the two is
    /// stored and sent. Requests of other programs are counted as the service's responses report them.
    ///
    /// A shared limit that fails or does not respond within its [`timeout`](SharedRateLimit::timeout) (250 ms by
    /// default) does not fail calls. The client then logs a warning (feature `tracing`) and uses its own rate limiter,
    /// with the limit divided by the number of clients that shared it last. It tries the shared limit again after 1
    /// second, and then after delays of up to 30 seconds.
    ///
    /// A call with [`RateLimitMode::FailFast`] may wait for a lease. Calls with [`RateLimitMode::Off`] take no permits.
    ///
    #[cfg_attr(feature = "redis", doc = "```no_run")]
    #[cfg_attr(not(feature = "redis"), doc = "```ignore")]
    /// use agentgate::shared_rate_limit::RedisRateLimit;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = RedisRateLimit::connect("redis://127.0.0.1/").await?;
    /// let client = agentgate::Client::builder().from_env()?.shared_rate_limit(limit).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn shared_rate_limit(mut self, limit: impl SharedRateLimit) -> Self {
        self.shared_rate_limit = Some(Arc::new(limit));
        self
    }

    /// Calls a function for each event in the course of each call: waits for the rate limit, attempts, retries and
    /// ends, for example to keep metrics. See [`CallEvent`] for the events and their order.
    ///
    /// The function runs in the task of the call, or on the thread that blocks on it, and should return at once. It may
    /// drop, poll and make calls, but on `CallEvent::Attempt` it must not wait for one: the attempt holds its permit.
    /// Where several are added, all are called, in order.
    ///
    /// ```no_run
    /// use agentgate::events::CallEvent;
    ///
    /// # fn main() -> agentgate::Result<()> {
    /// let client = agentgate::Client::builder()
    ///     .api_key("org_live_xxxxxxxx")
    ///     .on_event(|event| match event {
    ///         CallEvent::Wait(wait) => {
    ///             eprintln!("{} waits for {:?} or more", wait.operation, wait.expected);
    ///         }
    ///         CallEvent::AttemptEnd(end) => {
    ///             eprintln!("{} {:?} in {:?}", end.operation, end.outcome.status(), end.duration);
    ///         }
    ///         _ => {}
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_event(mut self, on_event: impl Fn(CallEvent<'_>) + Send + Sync + 'static) -> Self {
        self.on_event.push(Arc::new(on_event));
        self
    }

    /// Calls a function before each retry, for example to count them: [`CallEvent::Retry`] alone. It should return at
    /// once.
    ///
    /// ```no_run
    /// # fn main() -> agentgate::Result<()> {
    /// let client = agentgate::Client::builder()
    ///     .api_key("org_live_xxxxxxxx")
    ///     .on_retry(|retry| eprintln!("again in {:?}: {}", retry.delay, retry.error))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_retry(self, on_retry: impl Fn(&Retry<'_>) + Send + Sync + 'static) -> Self {
        self.on_event(move |event| {
            if let CallEvent::Retry(retry) = event {
                on_retry(&retry);
            }
        })
    }

    /// Adds code that runs around each attempt of each call, for example to add a header. See [`Middleware`] for an
    /// example, and for the order of several.
    pub fn middleware(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(Arc::new(middleware));
        self
    }

    /// Sets the largest body of a response that is accepted, in bytes. Defaults to 8 MiB.
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.max_body_size = bytes;
        self
    }

    /// Adds the name of your program to the `User-Agent`, which is `agentgate-rust/<version>`.
    pub fn user_agent(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent = Some(suffix.into());
        self
    }

    /// Changes the settings of the HTTP client, for example a proxy, certificates or name resolution.
    ///
    /// The settings that the client relies on are applied afterwards: time-outs, redirects and retries of the HTTP
    /// client, and the compression of responses. A proxy that is set here is used for loopback, too. Settings of TLS
    /// hold with each of the crate's TLS features, or [`build`](Self::build) returns an error.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use agentgate::reqwest::Proxy;
    ///
    /// let proxy = Proxy::https("http://proxy.example.com:3128")?;
    /// let client = agentgate::Client::builder()
    ///     .api_key("org_live_xxxxxxxx")
    ///     .configure_http(move |http| http.proxy(proxy.clone()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # HTTP/2
    ///
    /// The client speaks HTTP/1.1, even if another crate of the program turns on HTTP/2 in reqwest. Over HTTP/2, all
    /// calls share one connection, and one that stalls fails them all until pings show that it is dead. To use HTTP/2,
    /// add reqwest with its feature `http2`, and set the pings, too:
    ///
    /// ```ignore
    /// .configure_http(|http| {
    ///     http.http2_prior_knowledge()
    ///         .http2_keep_alive_interval(Duration::from_secs(5))
    ///         .http2_keep_alive_timeout(Duration::from_secs(5))
    ///         .http2_keep_alive_while_idle(true)
    /// })
    /// ```
    pub fn configure_http(
        mut self,
        configure: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.configure_http = Some(Arc::new(configure));
        self
    }

    /// Uses a ready HTTP client, to share its connections. For everything else,
    /// [`configure_http`](Self::configure_http) is safer.
    ///
    /// Disable redirects and retries in this client: they send requests without the knowledge of the SDK, and may
    /// submit a work order twice. The response to a redirected request is an error. Restrict this client to HTTP/1.1 by
    /// `http1_only`, or set the pings that HTTP/2 needs, as in [`configure_http`](Self::configure_http): with the
    /// feature `http2`, reqwest's own default is HTTP/2 without pings. The connect time-out of this client applies, so
    /// it cannot be combined with [`connect_timeout`](Self::connect_timeout) or `configure_http`.
    pub fn http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Sets the clock for times and delays. Defaults to the system's clock and tokio's timer.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Creates the client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a setting is missing or invalid. The
    /// text of the error says how to correct it.
    pub fn build(self) -> Result<Client> {
        let base_url = base_url::parse(self.base_url.as_deref().unwrap_or(base_url::DEFAULT), self.allow_http)?;
        let authorization = authorization(self.api_key.as_ref(), self.key_origin)?;
        let user_agent = user_agent(self.user_agent.as_deref())?;
        if self.submissions == 0 {
            return Err(Error::configuration(
                "`submissions_per_minute` is 0, so a submission would wait forever",
                "Set `submissions_per_minute` to at least 1.",
            ));
        }
        let (http, proxy) = match self.http {
            Some(_) if self.connect_timeout.is_some() || self.configure_http.is_some() => {
                return Err(Error::configuration(
                    "`connect_timeout` and `configure_http` have no effect on a ready `http_client`",
                    "Set them up in the HTTP client itself, or leave `http_client` out.",
                ));
            }
            Some(http) => (http, None),
            None => {
                // An attempt that runs out of time while it connects has sent nothing. Where a request has no body to
                // tell that by, the connection has to fail first.
                let connect_timeout =
                    self.connect_timeout.unwrap_or(CONNECT_TIMEOUT).min(self.options.attempt_timeout().mul_f64(0.9));
                http_client(&base_url, connect_timeout, self.configure_http.as_deref())?
            }
        };
        let shared = self.shared_rate_limit.map(|limit| {
            let key = self.api_key.as_ref().map(Secret::expose_secret).unwrap_or_default();
            SharedLimit::new(limit, organization(&base_url.text, key))
        });
        let transport = Arc::new(Transport {
            http,
            proxy,
            base_url: base_url.text,
            authorization,
            key_origin: self.key_origin,
            user_agent,
            options: self.options,
            max_body_size: self.max_body_size,
            backoff: self.backoff,
            budget: RetryBudget::default(),
            limiter: Arc::new(RateLimiter::new(self.submissions, shared, Arc::clone(&self.clock))),
            freshness: Freshness::default(),
            on_event: self.on_event,
            middleware: self.middleware,
            clock: self.clock,
            #[cfg(feature = "test-util")]
            replay: self.replay,
        });
        let follow = Arc::new(FollowState::new(Arc::clone(&transport.clock)));
        Ok(Client { transport, known_tokens: Arc::default(), follow, defaults: None })
    }
}

/// Shows the settings, and never the key.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("api_key", &self.api_key)
            .field("options", &self.options)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

/// Returns the value of a variable. An empty variable counts as not set.
fn variable(name: &str, read: impl Fn(&str) -> Result<String, VarError>) -> Result<Option<String>> {
    match read(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.trim().is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::configuration(
            format!("the environment variable {name} is not Unicode"),
            "Set it to valid Unicode.",
        )),
    }
}

fn authorization(api_key: Option<&Secret>, origin: &str) -> Result<HeaderValue> {
    let Some(key) = api_key.map(Secret::expose_secret) else {
        return Err(Error::configuration(
            "there is no API key",
            "Give one with `api_key`, or set AGENTGATE_API_KEY and use `Client::from_env`.",
        ));
    };
    let is_printable = key.bytes().all(|byte| byte.is_ascii_graphic());
    match (crate::secret::setting_mistake(key), HeaderValue::from_str(&format!("Bearer {key}"))) {
        (None, Ok(mut value)) if is_printable => {
            value.set_sensitive(true);
            Ok(value)
        }
        (mistake, _) => {
            let problem = mistake.as_deref().unwrap_or("contains a character that is not allowed in a key");
            Err(Error::configuration(
                format!("the API key {origin} {problem}"),
                "Check that it was copied completely, and nothing else; a key looks like `org_live_…`.",
            ))
        }
    }
}

fn user_agent(suffix: Option<&str>) -> Result<HeaderValue> {
    let name = concat!("agentgate-rust/", env!("CARGO_PKG_VERSION"));
    let text = suffix.map_or_else(|| name.to_owned(), |suffix| format!("{name} {suffix}"));
    HeaderValue::from_str(text.trim()).map_err(|_| {
        Error::configuration(
            "the user agent contains a character that is not allowed in a header",
            "Use printable ASCII, such as `acme-ci/2.1`.",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::env::VarError;
    use std::ffi::OsString;

    use super::ClientBuilder;
    use crate::{Client, Result};

    fn from_variables(pairs: &[(&str, &str)]) -> Result<Client> {
        let variables: BTreeMap<_, _> = pairs.iter().copied().collect();
        let read = |name: &str| variables.get(name).map(ToString::to_string).ok_or(VarError::NotPresent);
        ClientBuilder::default().with_variables(read)?.build()
    }

    #[test]
    fn the_environment_gives_key_and_address() {
        let client = from_variables(&[("AGENTGATE_API_KEY", "k\n"), ("AGENTGATE_BASE_URL", "http://localhost:7/x/")]);
        let client = client.unwrap();
        assert_eq!(client.base_url(), "http://localhost:7/x");
        assert_eq!(client.transport.authorization, "Bearer k");
        assert_eq!(client.transport.key_origin, "in AGENTGATE_API_KEY");
    }

    #[test]
    fn the_address_may_be_missing_or_empty() {
        for variables in [&[("AGENTGATE_API_KEY", "k")][..], &[("AGENTGATE_API_KEY", "k"), ("AGENTGATE_BASE_URL", "")]]
        {
            let client = from_variables(variables).map(|client| client.base_url().to_owned());
            if cfg!(any(feature = "rustls", feature = "rustls-ring", feature = "native-tls")) {
                assert_eq!(client.unwrap(), crate::operation::BASE_URL);
            } else {
                assert!(client.unwrap_err().to_string().contains("no TLS"));
            }
        }
    }

    #[test]
    fn what_the_builder_was_given_counts_more_than_the_environment() {
        let read = |_: &str| Ok("http://localhost:1".to_owned());
        let builder = ClientBuilder::default().base_url("http://localhost:2").api_key("mine");
        let client = builder.with_variables(read).unwrap().build().unwrap();
        assert_eq!(client.base_url(), "http://localhost:2");
        assert_eq!(client.transport.authorization, "Bearer mine");
        assert_eq!(client.transport.key_origin, "given in code");
    }

    #[test]
    fn a_missing_key_is_named() {
        for variables in [&[][..], &[("AGENTGATE_API_KEY", " ")]] {
            let error = from_variables(variables).unwrap_err().to_string();
            assert!(error.contains("AGENTGATE_API_KEY is not set"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_holds_more_than_its_value_is_named() {
        for key in ["\"org_live_1\"", "${KEY}", "\u{feff}org_live_1"] {
            let error = from_variables(&[("AGENTGATE_API_KEY", key)]).unwrap_err().to_string();
            assert!(error.contains("the API key in AGENTGATE_API_KEY ") && !error.contains("org_live_1"), "{error}");
        }
        let url = [("AGENTGATE_API_KEY", "k"), ("AGENTGATE_BASE_URL", "'http://localhost:1'")];
        assert!(from_variables(&url).unwrap_err().to_string().contains("quotation mark"));
    }

    #[test]
    fn a_variable_that_is_not_unicode_is_named() {
        let read = |_: &str| Err(VarError::NotUnicode(OsString::new()));
        let error = ClientBuilder::default().with_variables(read).unwrap_err().to_string();
        assert!(error.contains("AGENTGATE_API_KEY is not Unicode"), "{error}");
    }
}
