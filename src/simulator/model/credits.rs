//! The organization's credits and their transactions.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::simulator::clock::time::timestamp;
use crate::simulator::model::error::ApiError;
use crate::simulator::model::response::without_nulls;
use crate::simulator::model::run::Tenant;

/// The balance and the transactions. Amounts are in cents.
#[derive(Debug)]
pub(crate) struct Ledger {
    included: i64,
    purchased: i64,
    transactions: Vec<Transaction>,
}

#[derive(Debug)]
pub(crate) struct Transaction {
    id: String,
    pub(crate) kind: &'static str,
    amount: i64,
    /// The part of the amount in purchased credits.
    purchased: i64,
    run_id: Option<String>,
    pub(crate) tenant: Tenant,
    pub(crate) created_at: DateTime<Utc>,
}

impl Ledger {
    pub(crate) fn new(included: i64) -> Self {
        Self { included, purchased: 0, transactions: Vec::new() }
    }

    pub(crate) fn total(&self) -> i64 {
        self.included.saturating_add(self.purchased)
    }

    /// Replaces the balance, without a transaction.
    pub(crate) fn set(&mut self, cents: i64) {
        (self.included, self.purchased) = (cents, 0);
    }

    pub(crate) fn purchase(&mut self, cents: i64, now: DateTime<Utc>) {
        self.record("purchase", cents, cents, None, Tenant::default(), now);
    }

    /// Checks that the balance covers a run.
    pub(crate) fn check_balance(&self, price: u32) -> Result<(), ApiError> {
        let required = i64::from(price);
        if required > self.total() {
            return Err(ApiError::insufficient_credits(required, self.total()));
        }
        Ok(())
    }

    /// Deducts the price of a run, from the included credits first.
    pub(crate) fn deduct(&mut self, price: u32, run_id: &str, tenant: Tenant, now: DateTime<Utc>) {
        let price = i64::from(price);
        let from_purchased = (price - self.included.max(0)).clamp(0, price);
        self.record("deduction", -price, -from_purchased, Some(run_id.to_owned()), tenant, now);
    }

    /// Refunds the price of a run to the included and purchased credits that it came from.
    pub(crate) fn refund(&mut self, run_id: &str, now: DateTime<Utc>) {
        let deduction =
            self.transactions.iter().find(|entry| entry.kind == "deduction" && entry.run_id.as_deref() == Some(run_id));
        let Some(Transaction { amount, purchased, tenant, .. }) = deduction else { return };
        let (amount, purchased, tenant) = (-amount, -purchased, tenant.clone());
        self.record("refund", amount, purchased, Some(run_id.to_owned()), tenant, now);
    }

    fn record(
        &mut self,
        kind: &'static str,
        amount: i64,
        purchased: i64,
        run_id: Option<String>,
        tenant: Tenant,
        now: DateTime<Utc>,
    ) {
        if amount == 0 {
            return;
        }
        self.included = self.included.saturating_add(amount - purchased);
        self.purchased = self.purchased.saturating_add(purchased);
        let id = format!("ctx_{:06}", self.transactions.len() + 1);
        self.transactions.push(Transaction { id, kind, amount, purchased, run_id, tenant, created_at: now });
    }

    /// Returns the transactions, newest first.
    pub(crate) fn transactions(&self) -> impl Iterator<Item = &Transaction> {
        self.transactions.iter().rev()
    }

    /// Returns the balance. The billing cycle is the calendar month.
    pub(crate) fn balance(&self, now: DateTime<Utc>) -> Value {
        let start = start_of_month(now);
        let end = start.map(|start| start + TimeDelta::days(31)).and_then(start_of_month);
        without_nulls(json!({
            "includedCreditsCents": self.included,
            "purchasedCreditsCents": self.purchased,
            "totalCreditsCents": self.total(),
            "billingCycleStart": start.map(timestamp),
            "billingCycleEnd": end.map(timestamp),
        }))
    }
}

fn start_of_month(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    NaiveDate::from_ymd_opt(time.year(), time.month(), 1).map(|first| first.and_time(NaiveTime::MIN).and_utc())
}

impl Transaction {
    pub(crate) fn to_json(&self) -> Value {
        without_nulls(json!({
            "id": self.id,
            "type": self.kind,
            // The service shows the amount of a deduction as positive, too.
            "amount": self.amount.abs(),
            "runId": self.run_id,
            "tenantId": self.tenant.id(),
            "tenantUserId": self.tenant.user_id(),
            "createdAt": timestamp(self.created_at),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn a_deduction_uses_the_included_credits_first_and_a_refund_restores_both_parts() {
        let mut ledger = Ledger::new(30);
        ledger.purchase(100, NOW);
        ledger.deduct(50, "run_000001", Tenant::default(), NOW);
        // A free run has no transaction.
        ledger.deduct(0, "run_000002", Tenant::default(), NOW);
        assert_eq!((ledger.included, ledger.purchased), (0, 80));
        ledger.refund("run_000001", NOW);
        assert_eq!((ledger.included, ledger.purchased), (30, 100));
        let amounts: Vec<_> = ledger.transactions().map(|transaction| (transaction.kind, transaction.amount)).collect();
        assert_eq!(amounts, [("refund", 50), ("deduction", -50), ("purchase", 100)]);
    }

    #[test]
    fn the_billing_cycle_is_the_month() {
        let december = DateTime::from_timestamp(1_765_000_000, 0).unwrap();
        let balance = Ledger::new(1).balance(december);
        assert_eq!(balance["billingCycleStart"], "2025-12-01T00:00:00.000Z");
        assert_eq!(balance["billingCycleEnd"], "2026-01-01T00:00:00.000Z");
    }
}
