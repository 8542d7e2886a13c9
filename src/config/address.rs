//! The forms of addresses: of servers, of pages, of this machine. Pure.

use std::net::IpAddr;

use reqwest::Url;

/// The address of a server.
///
/// # Errors
/// What it must be: `http` or `https`, with a host, without user and password, `?` and `#`.
pub fn server_url(text: &str) -> Result<Url, &'static str> {
    const FORM: &str = "an http:// or https:// address";
    let url = Url::parse(text.trim()).map_err(|_| FORM)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address without user and password (the key goes into llm.api_key)");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("an address without `?` and `#`");
    }
    Ok(url)
}

/// The address of a set of keys: what is fetched there decides who comes in, so nobody may change it on its way.
pub(super) fn is_secure_url(text: &str) -> bool {
    let is_good = |url: &Url| {
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
        is_safe && url.has_host() && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
    };
    Url::parse(text).is_ok_and(|url| is_good(&url))
}

/// The address before what is asked for there, without a final slash; or what it should have been.
pub(super) fn plain_url(text: &str) -> Result<String, &'static str> {
    let url = server_url(text)?;
    let plain = url.as_str().trim_end_matches('/');
    if plain.ends_with("/chat/completions") {
        return Err("the address before /chat/completions");
    }
    Ok(plain.to_owned())
}

/// Host and port of an address in its plain form.
pub(super) fn authority(plain: &str) -> &str {
    let rest = plain.split_once("//").map_or(plain, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Whether a URL leads to this machine, by its name or by a loopback address.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Whether a browser would send exactly this as `Origin`.
pub(super) fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    match url.origin().is_tuple() {
        // No wildcard within an origin: it would be compared as it stands, and match nobody.
        true => url.origin().ascii_serialization() == text && !text.contains('*'),
        // Schemes of browser extensions are opaque to the parser; there the form has to do.
        false => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:".contains(&b))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_cut_out_of_plain_addresses() {
        assert_eq!(authority("https://api.groq.com/openai/v1"), "api.groq.com");
        assert_eq!(authority("http://127.0.0.1:11434"), "127.0.0.1:11434");
    }

    #[test]
    fn this_machine_is_known_by_name_and_address() {
        let is_loopback = |url| is_loopback(&Url::parse(url).unwrap());
        assert!(["http://localhost:1", "http://127.8.0.1", "https://[::1]:443/x"].into_iter().all(is_loopback));
        assert!(!["http://localhost.example", "http://10.0.0.1", "https://[::2]"].into_iter().any(is_loopback));
    }
}
