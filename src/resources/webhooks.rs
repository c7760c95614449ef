//! Webhooks: a header at a time.

use super::{Call, CreateWebhook};

impl Call<CreateWebhook> {
    /// Adds a header that is sent with each delivery.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.endpoint.body.headers.get_or_insert_default().insert(name.into(), value.into());
        self
    }
}
