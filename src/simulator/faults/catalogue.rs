//! Faults made ready: what proxies like to answer, and a list of everything that can go wrong.

use crate::simulator::faults::Fault;

/// # What a proxy answers
impl Fault {
    /// The HTML page of a proxy that has got no proper answer from the service: 502.
    #[must_use]
    pub fn bad_gateway() -> Self {
        page(502, "Bad Gateway")
    }

    /// The HTML page of a proxy that has waited too long for the service: 504. Where that is so, the service may well
    /// have done its work: see [`after_acting`](Self::after_acting).
    #[must_use]
    pub fn gateway_timeout() -> Self {
        page(504, "Gateway Time-out")
    }

    /// A redirect to a page to log in at, as from a proxy that guards a network: 302. The page does not exist.
    #[must_use]
    pub fn redirect() -> Self {
        page(302, "Found").header("location", "https://login.example.com/?return=%2Fv1")
    }
}

/// A page as nginx writes it.
fn page(status: u16, reason: &str) -> Fault {
    let body = format!(
        "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>\
         \r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    Fault::response(status, "text/html", body).header("server", "nginx")
}

impl Fault {
    /// One fault of every kind, each with a short name: for a test that lets everything go wrong once.
    ///
    /// Kinds may be added. [`stall`](Self::stall) and [`stall_body`](Self::stall_body) are among them, so such a test
    /// wants a client that does not wait for long.
    ///
    /// ```
    /// use agentgate::simulator::{Fault, Simulator};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// for (name, fault) in Fault::catalogue() {
    ///     let simulator = Simulator::start().await?;
    ///     simulator.inject(fault.on("createWorkOrder").after_acting());
    ///     // ... submit a work order here ...
    ///     assert!(simulator.work_order_count() <= 1, "submitted twice: {name}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn catalogue() -> Vec<(&'static str, Self)> {
        vec![
            ("rate_limited", Self::error("RATE_LIMITED")),
            ("service_unavailable", Self::error("SERVICE_UNAVAILABLE")),
            ("internal_error", Self::error("INTERNAL_ERROR")),
            ("bad_gateway", Self::bad_gateway()),
            ("empty_bad_gateway", Self::response(502, "", "")),
            ("gateway_timeout", Self::gateway_timeout()),
            ("redirect", Self::redirect()),
            ("no_content", Self::response(204, "", "")),
            ("reset", Self::reset()),
            ("close", Self::close()),
            ("stall", Self::stall()),
            ("garbage", Self::garbage()),
            ("tls_alert", Self::tls_alert()),
            ("cut_status_line", Self::cut_status_line()),
            ("cut_headers", Self::cut_headers()),
            ("cut_body", Self::cut_body()),
            ("cut_chunks", Self::cut_chunks()),
            ("stall_body", Self::stall_body()),
            ("drip", Self::drip()),
            ("halve_body", Self::halve_body()),
            ("understate_length", Self::understate_length()),
            ("overstate_length", Self::overstate_length()),
        ]
    }
}
