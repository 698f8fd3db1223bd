//! TCP keep-alive. Go: `KeepAliveConfig`, `net/tcpsockopt_*.go`.

use std::time::Duration;

/// Go's default for the idle time and for the interval between probes.
const DEFAULT_TIME: Duration = Duration::from_secs(15);
/// Go's default for the number of probes.
const DEFAULT_COUNT: u32 = 9;

/// How the system finds out that the peer of an idle connection is gone.
///
/// The default is Go's: enabled, the first probe after 15 seconds of silence, then one every 15 seconds, and the
/// connection fails after 9 without an answer.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use gopark_net::KeepAliveConfig;
///
/// let patient = KeepAliveConfig { idle: Some(Duration::from_secs(300)), ..KeepAliveConfig::default() };
/// assert_eq!(patient.count, Some(9));
/// ```
///
/// Go: net/tcpsock.go KeepAliveConfig
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct KeepAliveConfig {
    /// Whether probes are sent at all.
    pub enable: bool,
    /// The silence after which the first probe is sent, rounded up to seconds. `None` leaves the system's
    /// value alone, zero means 15 seconds.
    pub idle: Option<Duration>,
    /// The time between probes, rounded up to seconds. `None` leaves the system's value alone, zero means 15
    /// seconds.
    pub interval: Option<Duration>,
    /// How many probes may stay unanswered. `None` leaves the system's value alone, zero means 9.
    pub count: Option<u32>,
}

impl KeepAliveConfig {
    /// No probes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!gopark_net::KeepAliveConfig::DISABLED.enable);
    /// ```
    pub const DISABLED: KeepAliveConfig =
        KeepAliveConfig { enable: false, idle: None, interval: None, count: None };

    /// The defaults, with the first probe after `idle`.
    pub(crate) fn with_idle(idle: Duration) -> KeepAliveConfig {
        KeepAliveConfig { idle: Some(idle), ..KeepAliveConfig::default() }
    }

    /// As socket2 takes it, with the defaults put in for zeros.
    pub(crate) fn params(&self) -> socket2::TcpKeepalive {
        let mut params = socket2::TcpKeepalive::new();
        if let Some(idle) = self.idle {
            params = params.with_time(seconds(idle));
        }
        if let Some(interval) = self.interval {
            params = params.with_interval(seconds(interval));
        }
        if let Some(count) = self.count {
            params = params.with_retries(if count == 0 { DEFAULT_COUNT } else { count });
        }
        params
    }
}

impl Default for KeepAliveConfig {
    fn default() -> KeepAliveConfig {
        KeepAliveConfig {
            enable: true,
            idle: Some(DEFAULT_TIME),
            interval: Some(DEFAULT_TIME),
            count: Some(DEFAULT_COUNT),
        }
    }
}

/// Whole seconds, rounded up: the system takes no less, and rounding down would probe sooner than asked for.
///
/// Go: net/sockopt_posix.go roundDurationUp
#[doc(alias = "roundDurationUp")]
pub(crate) fn seconds(d: Duration) -> Duration {
    if d.is_zero() {
        return DEFAULT_TIME;
    }
    Duration::from_secs(d.as_secs().saturating_add(u64::from(d.subsec_nanos() != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_zero_is_the_default() {
        assert_eq!(seconds(Duration::ZERO), Duration::from_secs(15));
        assert_eq!(seconds(Duration::from_nanos(1)), Duration::from_secs(1));
        assert_eq!(seconds(Duration::from_secs(2)), Duration::from_secs(2));
        assert_eq!(seconds(Duration::from_millis(2_001)), Duration::from_secs(3));
        assert_eq!(seconds(Duration::MAX), Duration::from_secs(u64::MAX));
    }
}
