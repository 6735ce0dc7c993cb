//! The hosts that the operator names.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;

use super::address::{AddressRange, is_public};

/// The ports of an entry without a port: those of `http` and `https`.
const DEFAULT_PORTS: [u16; 2] = [80, 443];
/// Characters of an entry: a name has at most 253 (RFC 1035).
const MAX_LENGTH: usize = 300;

/// One entry of the list of hosts that a task may reach.
///
/// | entry | allows |
/// |---|---|
/// | `api.example.com` | this host, ports 80 and 443 |
/// | `api.example.com:8443` | this host, this port |
/// | `*.example.org:443` | its subdomains at every depth, not `example.org` itself |
/// | `127.0.0.1:8080`, `[::1]:8080` | this address |
/// | `10.0.0.0/8:80`, `fd00::/8`, `[fd00::/8]:80` | these addresses |
/// | `*` | every public host |
///
/// `:*` as the port allows all ports. A name is refused if it resolves to an address that is not
/// public, unless another entry names the address or its range. `localhost` names the loopback
/// addresses.
///
/// ```
/// use serpentarium::fetch::AllowedHost;
///
/// let entry: AllowedHost = "*.Example.org:443".parse()?;
/// assert_eq!(entry.to_string(), "*.example.org:443");
/// assert!("https://example.org".parse::<AllowedHost>().is_err());
/// # Ok::<(), serpentarium::fetch::BadHost>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: HostPattern,
    ports: Ports,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Any,
    Name(String),
    /// The name after `*.`.
    Subdomains(String),
    Range(AddressRange),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    Default,
    All,
    One(u16),
}

/// A text is no [`AllowedHost`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no host: {reason}; write api.example.com, *.example.org:443 or 10.0.0.0/8:80")]
pub struct BadHost {
    text: String,
    reason: &'static str,
}

impl FromStr for AllowedHost {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let fail = |reason| {
            let text = text.chars().take(MAX_LENGTH).collect();
            Err(BadHost { text, reason })
        };
        if text.len() > MAX_LENGTH {
            return fail("it is too long");
        }
        if text.contains("//") {
            return fail("it has a scheme");
        }
        let Some((host, port)) = split_port(text) else { return fail("a bracket is missing") };
        let ports = match port {
            None => Ports::Default,
            Some("*") => Ports::All,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => Ports::One(port),
                _ => return fail("its port is no number from 1 to 65535"),
            },
        };
        match HostPattern::parse(host) {
            Some(host) => Ok(Self { host, ports }),
            None => fail("it is no name, address or range"),
        }
    }
}

/// Splits `host:port`, `[host]:port` and hosts without a port. IPv6 needs brackets before a port.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((text, None)),
    }
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Some(name) = text.strip_prefix("*.") {
            return Some(Self::Subdomains(name_of(name)?));
        }
        if let Some((start, length)) = text.split_once('/') {
            let range = AddressRange::new(start.parse().ok()?, length.parse().ok()?)?;
            return Some(Self::Range(range));
        }
        match text.parse() {
            Ok(address) => Some(Self::Range(AddressRange::one(address))),
            Err(_) => Some(Self::Name(name_of(text)?)),
        }
    }
}

/// Returns a name as a URL has it: in lower case, encoded by IDNA, without the dot at its end.
/// `None` for anything else, an IPv4 address in an unusual form too.
fn name_of(text: &str) -> Option<String> {
    if text.is_empty() || text.contains(['/', '?', '#', '@', ':', '\\', '*', ' ']) {
        return None;
    }
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    Some(without_dot(url.domain()?).to_owned())
}

/// Removes the dot at the end of a fully qualified name.
pub(crate) fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

impl AllowedHost {
    /// Returns whether the entry allows a name, before its addresses are known.
    pub(crate) fn allows_name(&self, name: &str, port: u16) -> bool {
        let matches = match &self.host {
            HostPattern::Any => true,
            HostPattern::Name(own) => own == name,
            HostPattern::Subdomains(own) => name
                .strip_suffix(own.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            HostPattern::Range(_) => false,
        };
        matches && self.allows_port(port)
    }

    /// Returns whether the entry allows a connection to an address, under a name if there is one.
    pub(crate) fn allows_address(&self, address: IpAddr, port: u16, name: Option<&str>) -> bool {
        let matches = match &self.host {
            HostPattern::Range(range) => range.contains(address),
            HostPattern::Any => is_public(address),
            HostPattern::Name(own) if own == "localhost" && name == Some("localhost") => {
                address.is_loopback()
            }
            HostPattern::Name(_) | HostPattern::Subdomains(_) => {
                name.is_some_and(|name| self.allows_name(name, port)) && is_public(address)
            }
        };
        matches && self.allows_port(port)
    }

    fn allows_port(&self, port: u16) -> bool {
        match self.ports {
            Ports::All => true,
            Ports::Default => DEFAULT_PORTS.contains(&port),
            Ports::One(own) => own == port,
        }
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_port = self.ports != Ports::Default;
        match &self.host {
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Name(name) => f.write_str(name)?,
            HostPattern::Subdomains(name) => write!(f, "*.{name}")?,
            HostPattern::Range(range) if has_port && range.to_string().contains(':') => {
                write!(f, "[{range}]")?;
            }
            HostPattern::Range(range) => write!(f, "{range}")?,
        }
        match self.ports {
            Ports::Default => Ok(()),
            Ports::All => f.write_str(":*"),
            Ports::One(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> AllowedHost {
        text.parse().unwrap()
    }

    #[test]
    fn entries_are_shown_in_one_form() {
        for (text, shown) in [
            ("API.Example.com.", "api.example.com"),
            ("*.example.org:443", "*.example.org:443"),
            ("münchen.example", "xn--mnchen-3ya.example"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("10.0.0.0/8:*", "10.0.0.0/8:*"),
            ("[::1]:80", "[::1]:80"),
            ("fd00::/8", "fd00::/8"),
            ("[fd00::/8]:80", "[fd00::/8]:80"),
            ("*", "*"),
        ] {
            assert_eq!(entry(text).to_string(), shown);
            assert_eq!(entry(shown), entry(text));
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ":80",
            "https://example.com",
            "example.com/x",
            "a@b",
            "a b",
            "*.",
            "**",
            "a.*.b",
            "example.com:0",
            "example.com:99999",
            "example.com:",
            "10.0.0.0/33",
            "[::1",
            "x[::1]",
            "0x7f.1",
            "2130706433",
            "10.0.0.0/8/8",
            "*.10.0.0.1",
            "example.com:80:80",
        ] {
            assert!(text.parse::<AllowedHost>().is_err(), "{text}");
        }
        assert!("a".repeat(400).parse::<AllowedHost>().is_err());
    }

    #[test]
    fn a_name_allows_itself_and_the_default_ports() {
        let host = entry("api.example.com");
        assert!(
            host.allows_name("api.example.com", 443) && host.allows_name("api.example.com", 80)
        );
        assert!(!host.allows_name("api.example.com", 8080));
        assert!(!host.allows_name("x.api.example.com", 443));
        assert!(!host.allows_name("example.com", 443));
    }

    #[test]
    fn a_wildcard_allows_subdomains_alone() {
        let host = entry("*.example.org:443");
        assert!(host.allows_name("a.example.org", 443) && host.allows_name("a.b.example.org", 443));
        for (name, port) in [
            ("example.org", 443),
            ("a.example.org", 80),
            ("aexample.org", 443),
            (".example.org", 443),
            ("example.org.evil.com", 443),
        ] {
            assert!(!host.allows_name(name, port), "{name}:{port}");
        }
    }

    #[test]
    fn an_address_must_be_public_or_named() {
        let (private, public) = ("10.0.0.1".parse().unwrap(), "1.1.1.1".parse().unwrap());
        let name = Some("api.example.com");
        assert!(entry("api.example.com").allows_address(public, 443, name));
        assert!(!entry("api.example.com").allows_address(private, 443, name));
        assert!(!entry("api.example.com").allows_address(public, 443, Some("evil.example.com")));
        assert!(!entry("api.example.com").allows_address(public, 443, None));
        assert!(entry("10.0.0.0/8:443").allows_address(private, 443, name));
        assert!(!entry("10.0.0.0/8:443").allows_address(private, 444, name));
        assert!(entry("*").allows_address(public, 443, None));
        assert!(!entry("*").allows_address(private, 443, None));
        let loopback = "127.0.0.1".parse().unwrap();
        assert!(entry("localhost:80").allows_address(loopback, 80, Some("localhost")));
        assert!(!entry("localhost:80").allows_address(loopback, 80, Some("x.localhost")));
        assert!(!entry("localhost:80").allows_address(private, 80, Some("localhost")));
    }
}
