//! The loop of each peer: `peer <base URL> <seconds> <at a time>` makes calls for this time, prints their number, and
//! exits when its input closes.

use std::env::args;
use std::error::Error;
use std::future::Future;
use std::io::{read_to_string, stdin};
use std::time::{Duration, Instant};

/// Creates a client for the base URL, and makes calls with it.
pub(crate) async fn run<C, E, F>(
    client: impl Fn(&str) -> Result<C, E>,
    call: impl Fn(C) -> F + Copy + Send + 'static,
) -> Result<(), Box<dyn Error>>
where
    C: Clone + Send + Sync + 'static,
    E: Error + Send + 'static,
    F: Future<Output = Result<(), E>> + Send,
{
    let arguments: Vec<String> = args().collect();
    let [_, base_url, seconds, at_a_time] = arguments.as_slice() else { return Err("three arguments".into()) };
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let client = client(base_url)?;
    let tasks: Vec<_> = (0..at_a_time.parse()?)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                while Instant::now() < end {
                    call(client.clone()).await?;
                    calls += 1;
                }
                Ok::<u32, E>(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await??;
    }
    println!("{calls}");
    read_to_string(stdin())?;
    Ok(())
}
