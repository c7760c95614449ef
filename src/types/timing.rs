//! The duration of a run.

use std::time::Duration;

use super::RunTiming;

impl RunTiming {
    /// Returns the duration of the run: that of the service, or else the time between start and end. `None` before the
    /// run has ended.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use agentgate::types::RunTiming;
    ///
    /// # fn main() -> Result<(), agentgate::serde_json::Error> {
    /// let timing: RunTiming = agentgate::serde_json::from_str(r#"{"durationMs": 90500}"#)?;
    /// assert_eq!(timing.duration(), Some(Duration::from_millis(90_500)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let stated = self.duration_ms.map(Duration::from_millis);
        stated.or_else(|| (self.completed_at? - self.started_at?).to_std().ok())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RunTiming;

    fn duration(json: &str) -> Option<Duration> {
        serde_json::from_str::<RunTiming>(json).unwrap().duration()
    }

    #[test]
    fn without_a_duration_of_the_service_it_is_the_time_between_start_and_end() {
        let (start, end) = (r#""startedAt": "2026-01-01T00:00:00Z""#, r#""completedAt": "2026-01-01T00:01:00.250Z""#);
        let (ms, millis) = (r#""durationMs": 7"#, |millis| Some(Duration::from_millis(millis)));
        assert_eq!(duration(&format!("{{{start}, {end}, {ms}}}")), millis(7));
        assert_eq!(duration(&format!("{{{start}, {end}}}")), millis(60_250));
        assert_eq!(duration(&format!("{{{start}}}")), None);
        assert_eq!(duration(&format!("{{{end}}}")), None);
        assert_eq!(duration("{}"), None);
    }

    #[test]
    fn a_run_that_ended_before_it_started_has_no_duration() {
        let json = r#"{"startedAt": "2026-01-01T00:00:01Z", "completedAt": "2026-01-01T00:00:00Z"}"#;
        assert_eq!(duration(json), None);
    }
}
