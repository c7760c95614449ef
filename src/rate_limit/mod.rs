//! Keeps a client, with all its clones, inside the organization's rate limits.
//!
//! The organization has 100 requests a minute, shared by every program with its keys. A client that learned of the
//! limit from 429s would waste requests of all of them. So the [`RateLimiter`] reads the rate-limit headers of every
//! response ([`window`]), counts submissions itself, as no header reports their limit ([`submissions`]), and grants
//! permits in the order of the calls ([`fair_queue`]). A 429 delays every call that it concerns. Where several
//! processes share a limit ([`shared`]), permits are leased from it ([`leasing`], [`leased_permits`]).

mod fair_queue;
mod leased_permits;
mod leasing;
mod limiter;
mod limits;
#[cfg(feature = "redis")]
mod redis;
mod shared;
mod submissions;
mod wait;
mod window;

pub(crate) use self::leasing::{SharedLimit, organization};
pub use self::limiter::RateLimitMode;
pub(crate) use self::limiter::{Permit, RateLimiter};
#[cfg(feature = "redis")]
pub use self::redis::{RedisRateLimit, RedisRateLimitError};
pub use self::shared::{Lease, LeaseFuture, LeaseReport, LeaseRequest, SharedRateLimit};
pub(crate) use self::submissions::SUBMISSIONS_PER_MINUTE;
pub(crate) use self::wait::Wait;
pub use self::wait::WaitReason;
