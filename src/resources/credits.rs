//! Credits: what runs cost.

use chrono::{DateTime, Utc};

use super::pages::in_pages;
use crate::types::{CreditBalance, CreditTransaction, CreditTransactionPage, CreditTransactionType};

resource! {
    /// Credits: from [`Client::credits`](crate::Client::credits).
    Credits
}

impl Credits {
    /// Gets the organization's balance, in cents.
    ///
    /// ```no_run
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let balance = client.credits().balance().await?;
    /// println!("{} cents, {} of them bought", balance.total_credits_cents, balance.purchased_credits_cents);
    /// # Ok(())
    /// # }
    /// ```
    pub fn balance(&self) -> GetCredits {
        GetCredits::new(self.client.clone())
    }

    /// Lists what was used, bought and given back, a page at a time, or all of it as a stream.
    ///
    /// ```no_run
    /// use agentgate::types::CreditTransactionType;
    ///
    /// # async fn example(client: agentgate::Client) -> agentgate::Result<()> {
    /// let page = client.credits().usage().kind(CreditTransactionType::Deduction).tenant("acme-corp").await?;
    /// for transaction in &page.transactions {
    ///     println!("{} {}", transaction.created_at, transaction.amount);
    /// }
    ///
    /// let mut transactions = client.credits().usage().items();
    /// while let Some(transaction) = transactions.next().await {
    ///     println!("{}", transaction?.amount);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn usage(&self) -> ListCreditUsage {
        ListCreditUsage::new(self.client.clone())
    }
}

call! {
    /// Gets the balance: from [`Credits::balance`].
    GetCredits(GET_CREDITS) -> CreditBalance {}
    path []
    |this, api| api.get_credits()
}

call! {
    /// Lists credit transactions: from [`Credits::usage`].
    ListCreditUsage(LIST_CREDIT_USAGE) -> CreditTransactionPage {}
    filters {
        start_date: DateTime<Utc>,
        end_date: DateTime<Utc>,
        tenant_id: String,
        tenant_user_id: String,
        kind: CreditTransactionType,
        limit: u32,
        offset: u32,
    }
    path []
    |this, api| api.list_credit_usage(
        this.end_date.as_ref(),
        this.limit,
        this.offset,
        this.start_date.as_ref(),
        this.tenant_id.as_deref(),
        this.tenant_user_id.as_deref(),
        this.kind.as_ref(),
    )
}

impl ListCreditUsage {
    /// Only transactions from this time on.
    pub fn start_date(mut self, from: DateTime<Utc>) -> Self {
        self.start_date = Some(from);
        self
    }

    /// Only transactions up to this time.
    pub fn end_date(mut self, to: DateTime<Utc>) -> Self {
        self.end_date = Some(to);
        self
    }

    /// Only transactions of this type.
    pub fn kind(mut self, kind: impl Into<CreditTransactionType>) -> Self {
        self.kind = Some(kind.into());
        self
    }
}

tenant_and_page_filters!(ListCreditUsage, "transactions", default 50);
in_pages!(
    ListCreditUsage(LIST_CREDIT_USAGE) -> CreditTransactionPage {
        start_date, end_date, tenant_id, tenant_user_id, kind
    } of CreditTransaction, "transactions"
);
