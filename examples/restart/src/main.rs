//! Stores tasks in SQLite, submits a work order for each, and waits for its run. It can be killed at any point and
//! resumes after a restart: no task is lost, and none is submitted twice.
//!
//! ```text
//! cargo run -p agentgate-restart -- tasks.db "Fix the date parser" "Update the dependencies"
//! cargo run -p agentgate-restart -- tasks.db
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use agentgate::chrono::{DateTime, Utc};
use agentgate::resources::SubmissionToken;
use agentgate::types::{RunId, WorkOrderId};
use agentgate::{Client, WorkspaceSource};
use rusqlite::{Connection, params};
use tokio::task::JoinSet;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let store = Store::open(&arguments.next().ok_or("Usage: agentgate-restart <database> [task]...")?)?;
    for prompt in arguments {
        store.add(&prompt)?;
    }
    let client = Client::from_env()?;
    let tasks = store.tasks()?;
    // A search for one submission can skip the work orders of the others.
    for (order, token) in tasks.iter().filter_map(|task| Some((task.order.as_ref()?, task.token?.0))) {
        client.work_orders().remember(order, token);
    }
    let mut running = JoinSet::new();
    for task in tasks.into_iter().filter(|task| task.status.is_none()) {
        running.spawn(finish(store.clone(), client.clone(), task));
    }
    while let Some(finished) = running.join_next().await {
        finished??;
    }
    for task in store.tasks()? {
        if let (Some(run), Some(status)) = (task.run, task.status) {
            println!("{run}\t{status}\t{}", task.prompt);
        }
    }
    Ok(())
}

/// Completes a task from its stored state.
async fn finish(store: Store, client: Client, task: Task) -> Result<(), Error> {
    let run = match task.run {
        Some(run) => run,
        None => submit(&store, &client, &task).await?,
    };
    // The waits of all tasks share their polls.
    let finished = client.runs().wait(&run).summary_only().await?;
    store.set_status(task.id, finished.status().as_str())
}

async fn submit(store: &Store, client: &Client, task: &Task) -> Result<RunId, Error> {
    let source = WorkspaceSource::git("https://github.com/your-org/your-repo");
    let call = client.work_orders().create(&task.prompt, source);
    let order = if let Some((token, stored_at)) = task.token {
        // The process stopped before it stored the work order, which may have been submitted.
        call.submission_token(token).resume(stored_at).await?
    } else {
        let token = SubmissionToken::random();
        store.set_token(task.id, token)?;
        call.submission_token(token).await?
    };
    store.set_order(task.id, &order.work_order_id, &order.run_id)?;
    Ok(order.run_id)
}

/// A stored task. The optional values are set in this order.
struct Task {
    id: i64,
    prompt: String,
    token: Option<(SubmissionToken, DateTime<Utc>)>,
    order: Option<WorkOrderId>,
    run: Option<RunId>,
    status: Option<String>,
}

/// The store of tasks. Each method is a transaction.
#[derive(Clone)]
struct Store(Arc<Mutex<Connection>>);

impl Store {
    fn open(path: &str) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE IF NOT EXISTS task (
                 id INTEGER PRIMARY KEY, prompt TEXT NOT NULL UNIQUE,
                 token TEXT, token_stored_at INTEGER, work_order TEXT, run TEXT, status TEXT
             );",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn add(&self, prompt: &str) -> Result<(), Error> {
        self.execute("INSERT OR IGNORE INTO task (prompt) VALUES (?1)", params![prompt])
    }

    fn set_token(&self, id: i64, token: SubmissionToken) -> Result<(), Error> {
        let now = Utc::now().timestamp();
        self.execute(
            "UPDATE task SET token = ?2, token_stored_at = ?3 WHERE id = ?1",
            params![id, token.to_string(), now],
        )
    }

    fn set_order(&self, id: i64, order: &WorkOrderId, run: &RunId) -> Result<(), Error> {
        self.execute(
            "UPDATE task SET work_order = ?2, run = ?3 WHERE id = ?1",
            params![id, order.as_str(), run.as_str()],
        )
    }

    fn set_status(&self, id: i64, status: &str) -> Result<(), Error> {
        self.execute("UPDATE task SET status = ?2 WHERE id = ?1", params![id, status])
    }

    fn execute(&self, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).execute(sql, parameters)?;
        Ok(())
    }

    fn tasks(&self) -> Result<Vec<Task>, Error> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = connection
            .prepare("SELECT id, prompt, token, token_stored_at, work_order, run, status FROM task ORDER BY id")?;
        let mut rows = rows.query([])?;
        let mut tasks = Vec::new();
        while let Some(row) = rows.next()? {
            let (token, stored_at): (Option<String>, Option<i64>) = (row.get(2)?, row.get(3)?);
            let stored_at = stored_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            let token = token.map(|token| token.parse()).transpose()?;
            tasks.push(Task {
                id: row.get(0)?,
                prompt: row.get(1)?,
                token: token.zip(stored_at),
                order: row.get::<_, Option<String>>(4)?.map(Into::into),
                run: row.get::<_, Option<String>>(5)?.map(Into::into),
                status: row.get(6)?,
            });
        }
        Ok(tasks)
    }
}
