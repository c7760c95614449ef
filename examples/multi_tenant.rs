//! A wrapper that gives each tenant of a product its own view of AgentGate, through a company proxy, with tracing:
//!
//! ```text
//! RUST_LOG=multi_tenant=info,agentgate=debug cargo run -p agentgate --example multi_tenant
//! ```
//!
//! `AGENTGATE_PROXY` is the URL of the proxy, with user and password if needed. Each job has a span with the tenant. It
//! contains the client's spans, one per call, with OpenTelemetry field names. `tracing-opentelemetry` exports them
//! unchanged.

use std::env;
use std::error::Error;
use std::time::Duration;

use agentgate::events::CallEvent;
use agentgate::types::{Run, RunStatus, RunSummary};
use agentgate::{CallOptions, Client, WorkspaceSource, reqwest};
use tracing::{Instrument as _, info, info_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Time limit for a run, after which it is cancelled.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter: Targets = env::var("RUST_LOG").as_deref().unwrap_or("info").parse()?;
    let output = tracing_subscriber::fmt::layer().with_span_events(FmtSpan::CLOSE).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(output).with(filter).init();

    let agents = Agents { client: connect()? };
    let (acme, globex) = (agents.tenant("acme-corp"), agents.tenant("globex"));
    let (one, other) = tokio::try_join!(
        acme.run("user_123", "Add error handling to the API routes"),
        globex.run("user_456", "Add tests for the date parser"),
    )?;
    println!("{} for acme-corp, {} for globex", one.pr_url.unwrap_or_default(), other.pr_url.unwrap_or_default());
    println!("{} failed runs of acme-corp", acme.failed_runs().await?.len());
    Ok(())
}

/// Creates the client of the process. All tenants share its connections, rate limit and polls.
fn connect() -> Result<Client, Box<dyn Error>> {
    let mut builder = Client::builder().user_agent("acme-platform/3.0").on_event(count).from_env()?;
    if let Ok(address) = env::var("AGENTGATE_PROXY") {
        let proxy = reqwest::Proxy::all(&address)?;
        builder = builder.configure_http(move |http| http.proxy(proxy.clone()));
    }
    Ok(builder.build()?)
}

/// Counts and measures calls, with the field names of the metrics layer of `tracing-opentelemetry`.
fn count(event: CallEvent<'_>) {
    if let CallEvent::End(end) = event {
        let (operation, status) = (end.operation.id(), end.outcome.status().map(|status| status.as_u16()));
        let seconds = end.duration.as_secs_f64();
        info!(monotonic_counter.agentgate_calls = 1, histogram.agentgate_call_seconds = seconds, operation, status);
    }
}

/// AgentGate for all tenants.
struct Agents {
    client: Client,
}

impl Agents {
    fn tenant(&self, id: &'static str) -> Tenant {
        // The header identifies the tenant in the proxy's log. A tenant waits at most a minute for the shared rate
        // limit.
        let options = CallOptions::new().request_header("x-acme-tenant", id).max_wait(Duration::from_secs(60));
        Tenant { client: self.client.with_options(options), id }
    }
}

/// AgentGate for one tenant: submits work orders for the tenant, and lists only its runs.
struct Tenant {
    client: Client,
    id: &'static str,
}

impl Tenant {
    /// Submits a work order for a user of the tenant, and waits until its run has succeeded.
    async fn run(&self, user: &str, prompt: &str) -> agentgate::Result<Run> {
        let job = async {
            let source = WorkspaceSource::template("python-flask");
            let order = self.client.work_orders().create(prompt, source).tenant(self.id, user);
            let finished = order.and_wait().timeout(TIMEOUT).cancel_on_timeout().await?;
            info!(run = %finished.run().id, status = %finished.status(), "the run has ended");
            finished.succeeded()
        };
        job.instrument(info_span!("job", tenant = self.id, user)).await
    }

    /// Returns the tenant's failed runs.
    async fn failed_runs(&self) -> agentgate::Result<Vec<RunSummary>> {
        self.client.runs().list().tenant(self.id).status(RunStatus::Failed).items().try_collect().await
    }
}
