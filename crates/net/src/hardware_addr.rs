//! Hardware addresses. Go: `net/mac.go`.

use std::fmt;
use std::str::FromStr;

use crate::AddrError;

/// The longest: IP over InfiniBand (RFC 4391).
const LEN_MAX: usize = 20;

/// The hardware address of an interface: MAC-48 and EUI-48 (6 bytes), EUI-64 (8), or IP over InfiniBand (20).
///
/// Read from hexadecimal digits in groups of two, with colons or hyphens between them, in groups of four with dots, or
/// with nothing between them. Prints as `00:00:5e:00:53:01`.
///
/// # Examples
///
/// ```
/// use gopark_net::HardwareAddr;
///
/// let addr: HardwareAddr = "0000.5e00.5301".parse()?;
/// assert_eq!(addr.as_bytes(), [0, 0, 0x5e, 0, 0x53, 1]);
/// assert_eq!(addr.to_string(), "00:00:5e:00:53:01");
/// # Ok::<(), gopark_net::AddrError>(())
/// ```
///
/// Go: net/mac.go HardwareAddr, ParseMAC
#[doc(alias = "ParseMAC")]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct HardwareAddr {
    len: u8,
    /// Zeros from `len` on.
    bytes: [u8; LEN_MAX],
}

impl HardwareAddr {
    /// An address of these bytes; `None` unless there are 6, 8 or 20.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark_net::HardwareAddr;
    ///
    /// assert_eq!(HardwareAddr::new(&[1, 2, 3, 4, 5, 6]).unwrap().to_string(), "01:02:03:04:05:06");
    /// assert_eq!(HardwareAddr::new(&[1, 2, 3]), None);
    /// ```
    pub fn new(bytes: &[u8]) -> Option<HardwareAddr> {
        let len @ (6 | 8 | LEN_MAX) = bytes.len() else { return None };
        let mut all = [0; LEN_MAX];
        all[..len].copy_from_slice(bytes);
        Some(HardwareAddr { len: len as u8, bytes: all })
    }

    /// The bytes, in the order in which they are written.
    ///
    /// # Examples
    ///
    /// ```
    /// let addr: gopark_net::HardwareAddr = "ab-cd-ef-01-02-03".parse().unwrap();
    /// assert_eq!(addr.as_bytes()[0], 0xab);
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl FromStr for HardwareAddr {
    type Err = AddrError;

    /// # Errors
    /// "invalid MAC address"
    fn from_str(text: &str) -> Result<HardwareAddr, AddrError> {
        let groups = |separator, digits| hex_groups(text, separator, digits);
        let bytes = match text.bytes().find(|byte| !byte.is_ascii_hexdigit()) {
            Some(separator @ (b':' | b'-')) => groups(Some(separator), 2),
            Some(b'.') => groups(Some(b'.'), 4),
            None => groups(None, 2),
            Some(_) => None,
        };
        let addr = bytes.and_then(|bytes| HardwareAddr::new(&bytes));
        addr.ok_or_else(|| AddrError { err: "invalid MAC address", addr: text.to_owned() })
    }
}

/// The bytes of groups of `digits` hexadecimal digits each, with `separator` between every two.
fn hex_groups(text: &str, separator: Option<u8>, digits: usize) -> Option<Vec<u8>> {
    let period = digits + usize::from(separator.is_some());
    let mut bytes = Vec::with_capacity(LEN_MAX);
    let mut high = None;
    for (at, byte) in text.bytes().enumerate() {
        if at % period == digits {
            if Some(byte) != separator {
                return None;
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16)? as u8;
        match high.take() {
            None => high = Some(digit),
            // A text of any length is not a list of any length.
            Some(_) if bytes.len() == LEN_MAX => return None,
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    // It ends with a full group, and not with a separator.
    let tail = if separator.is_some() { digits } else { 0 };
    (text.len() % period == tail).then_some(bytes)
}

impl fmt::Display for HardwareAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.as_bytes().iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for HardwareAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HardwareAddr({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: [u8; 6] = [0, 0, 0x5e, 0, 0x53, 1];
    const EIGHT: [u8; 8] = [2, 0, 0x5e, 0x10, 0, 0, 0, 1];
    const TWENTY: [u8; 20] = [0, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0x5e, 0x10, 0, 0, 0, 1];

    // Go: net/mac_test.go TestParseMAC
    #[test]
    fn test_parse_mac() {
        for (text, bytes) in [
            ("00:00:5e:00:53:01", &SIX[..]),
            ("00-00-5e-00-53-01", &SIX),
            ("0000.5e00.5301", &SIX),
            ("00005e005301", &SIX),
            ("02:00:5e:10:00:00:00:01", &EIGHT),
            ("02-00-5e-10-00-00-00-01", &EIGHT),
            ("0200.5e10.0000.0001", &EIGHT),
            ("02005e1000000001", &EIGHT),
            ("00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01", &TWENTY),
            ("00-00-00-00-fe-80-00-00-00-00-00-00-02-00-5e-10-00-00-00-01", &TWENTY),
            ("0000.0000.fe80.0000.0000.0000.0200.5e10.0000.0001", &TWENTY),
            ("00000000fe8000000000000002005e1000000001", &TWENTY),
            ("ab:cd:ef:AB:CD:EF", &[0xab, 0xcd, 0xef, 0xab, 0xcd, 0xef]),
        ] {
            let addr: HardwareAddr = text.parse().unwrap();
            assert_eq!(addr.as_bytes(), bytes, "{text}");
            assert_eq!(addr.to_string().parse(), Ok(addr), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "01.02.03.04.05.06",
            "01:02:03:04:05:06:",
            "x1:02:03:04:05:06",
            "01002:03:04:05:06",
            "01:02003:04:05:06",
            "01:02:03004:05:06",
            "01:02:03:04005:06",
            "01:02:03:04:05006",
            "01-02:03:04:05:06",
            "01:02-03-04-05-06",
            "0123:4567:89AF",
            "0123-4567-89AF",
            "0123456789AF0",
            "01:02:03:04:05:0",
            "01:02:03:04:05:06:07",
            "0123.4567.89a",
            "00000000fe8000000000000002005e100000000102",
            "\u{1d7d8}0:00:5e:00:53:01",
        ] {
            let err = text.parse::<HardwareAddr>().unwrap_err();
            let at = if text.is_empty() { String::new() } else { format!("address {text}: ") };
            assert_eq!(err.to_string(), format!("{at}invalid MAC address"));
        }
        let long = "00:".repeat(1 << 20);
        assert!(long.parse::<HardwareAddr>().is_err());
    }
}
