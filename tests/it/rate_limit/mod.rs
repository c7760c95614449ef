//! The rate limit: how calls keep to it, and that none stops another.

mod limits;
