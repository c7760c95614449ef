//! Webhooks: where the service reports to.

use std::collections::BTreeMap;

use super::pages::in_one_piece;
use crate::types::{self, Webhook, WebhookCreated, WebhookEventType, WebhookId};

resource! {
    /// Webhooks: from [`Client::webhooks`](crate::Client::webhooks).
    Webhooks
}

impl Webhooks {
    /// Lists the organization's webhooks, without their secrets.
    pub fn list(&self) -> ListWebhooks {
        ListWebhooks::new(self.client.clone())
    }

    /// Creates a webhook. Deliveries of these events go to the address, which must be HTTPS (the simulator takes
    /// `http://` on this machine, too).
    ///
    /// The answer holds the signing secret, **this once**: store it before anything else. It cannot be shown again or
    /// changed; a webhook whose secret is lost has to be replaced by a new one.
    ///
    /// ```no_run
    /// use agentgate::types::WebhookEventType;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let created = client
    ///     .webhooks()
    ///     .create(
    ///         "https://example.com/agentgate",
    ///         [WebhookEventType::RunCompleted, WebhookEventType::RunFailed],
    ///     )
    ///     .description("production")
    ///     .await?;
    /// let secret: &str = created.secret.expose_secret();
    /// # Ok(())
    /// # }
    /// ```
    pub fn create<E: Into<WebhookEventType>>(
        &self,
        url: impl Into<String>,
        events: impl IntoIterator<Item = E>,
    ) -> CreateWebhook {
        let events: Vec<_> = events.into_iter().map(Into::into).collect();
        CreateWebhook::new(self.client.clone(), types::CreateWebhook::new(url, events))
    }

    /// Gets a webhook by its id, without its secret.
    pub fn get(&self, id: impl Into<WebhookId>) -> GetWebhook {
        GetWebhook::new(self.client.clone(), id.into())
    }

    /// Changes a webhook. What is not named stays as it is.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let webhook = client.webhooks().update("wh_5d7q").enabled(false).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update(&self, id: impl Into<WebhookId>) -> UpdateWebhook {
        UpdateWebhook::new(self.client.clone(), id.into(), types::UpdateWebhook::new())
    }

    /// Deletes a webhook. Its secret is lost with it.
    pub fn delete(&self, id: impl Into<WebhookId>) -> DeleteWebhook {
        DeleteWebhook::new(self.client.clone(), id.into())
    }

    /// Has the service send one test delivery. It does so at most 10 times a minute for each webhook.
    pub fn test(&self, id: impl Into<WebhookId>) -> TestWebhook {
        TestWebhook::new(self.client.clone(), id.into())
    }
}

call! {
    /// Lists webhooks: from [`Webhooks::list`].
    ListWebhooks(LIST_WEBHOOKS) -> Vec<Webhook> {}
    path []
    |this, api| api.list_webhooks()
}

call! {
    /// Creates a webhook: from [`Webhooks::create`].
    CreateWebhook(CREATE_WEBHOOK) -> WebhookCreated { body: types::CreateWebhook }
    path []
    |this, api| api.create_webhook(&this.body)
}

call! {
    /// Gets a webhook: from [`Webhooks::get`].
    GetWebhook(GET_WEBHOOK) -> Webhook { id: WebhookId }
    path [id]
    |this, api| api.get_webhook(&this.id)
}

call! {
    /// Changes a webhook: from [`Webhooks::update`].
    UpdateWebhook(UPDATE_WEBHOOK) -> Webhook { id: WebhookId, body: types::UpdateWebhook }
    path [id]
    |this, api| api.update_webhook(&this.id, &this.body)
}

call! {
    /// Deletes a webhook: from [`Webhooks::delete`].
    DeleteWebhook(DELETE_WEBHOOK) -> () { id: WebhookId }
    path [id]
    |this, api| api.delete_webhook(&this.id)
    ; then super::call::deleted
}

call! {
    /// Asks for a test delivery: from [`Webhooks::test`].
    TestWebhook(TEST_WEBHOOK) -> () { id: WebhookId }
    path [id]
    |this, api| api.test_webhook(&this.id)
}

in_one_piece!(ListWebhooks(LIST_WEBHOOKS) of Webhook {}, "webhooks");

impl CreateWebhook {
    /// Whether deliveries are made. The service's default is `true`.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.body.enabled = Some(enabled);
        self
    }

    /// What the webhook is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.body.description = Some(description.into());
        self
    }

    /// Adds a header that is sent with each delivery.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.body.headers.get_or_insert_with(BTreeMap::new).insert(name.into(), value.into());
        self
    }
}

impl UpdateWebhook {
    /// Sends deliveries to this address from now on.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.body.url = Some(url.into());
        self
    }

    /// Delivers these events, in place of the present ones.
    pub fn events<E: Into<WebhookEventType>>(mut self, events: impl IntoIterator<Item = E>) -> Self {
        self.body.events = Some(events.into_iter().map(Into::into).collect());
        self
    }

    /// Turns deliveries on or off.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.body.enabled = Some(enabled);
        self
    }

    /// What the webhook is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.body.description = Some(description.into());
        self
    }
}

not_idempotent!(CreateWebhook, "two webhooks, of which one stays unknown and delivers all the same.");
not_idempotent!(TestWebhook, "two test deliveries.");
