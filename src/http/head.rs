//! What a request's head must be, beyond what the library below insists on (RFC 9112). Pure.

use axum::http::{HeaderValue, Request, StatusCode, Version, header, request::Parts};

use super::problem::Problem;

/// The most bytes of a head: the request's line and its fields as they are written without padding. The library bounds
/// what it holds of a head that is not whole yet, and takes one that comes in a single write.
pub(super) const HEAD_BYTES: usize = 32 << 10;

/// Checks a head.
///
/// # Errors
/// The problem that answers the request.
pub(super) fn check(head: &Parts) -> Result<(), Problem> {
    if size(head) > HEAD_BYTES {
        let detail = format!("the head of the request is larger than {HEAD_BYTES} bytes");
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_large", detail));
    }
    let hosts = head.headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version >= Version::HTTP_11) {
        return Err(Problem::invalid_field("Host", "must be there once"));
    }
    if head.headers.get_all(header::CONTENT_TYPE).iter().count() > 1 {
        return Err(Problem::invalid_field("Content-Type", "must be there once"));
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
    {
        let detail = "`Transfer-Encoding` must be `chunked` alone";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "unsupported_coding", detail));
    }
    Ok(())
}

/// HTTP/2 names the host beside the fields (RFC 9113, 8.3.1), and so may the target of a request in HTTP/1.1 (RFC 9112,
/// 3.2.2), where nobody behind looks for it. A field that says something else stays beside it, so that [`check`] finds two.
pub(super) fn name_host<B>(request: &mut Request<B>) {
    let named = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(named) = named
        && request.headers().get(header::HOST) != Some(&named)
    {
        request.headers_mut().append(header::HOST, named);
    }
}

fn size(head: &Parts) -> usize {
    let uri = &head.uri;
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len())
        + uri.authority().map_or(0, |authority| authority.as_str().len());
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    head.method.as_str().len() + target + "  HTTP/1.1\r\n\r\n".len() + fields
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn checked(version: Version, fields: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder().uri("/livez").version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).err().map(|problem| problem.status.as_u16())
    }

    #[test]
    fn hosts_types_and_codings_are_unmistakable() {
        let host = ("host", "localhost");
        for (version, fields, refused) in [
            (Version::HTTP_11, vec![host], None),
            (Version::HTTP_11, vec![], Some(400)),
            (Version::HTTP_10, vec![], None),
            (Version::HTTP_11, vec![host, ("host", "localhost")], Some(400)),
            (Version::HTTP_10, vec![host, ("host", "other")], Some(400)),
            (Version::HTTP_11, vec![host, ("content-type", "text/plain"), ("content-type", "text/plain")], Some(400)),
            (Version::HTTP_11, vec![host, ("transfer-encoding", " Chunked")], None),
            (Version::HTTP_11, vec![host, ("transfer-encoding", "gzip, chunked")], Some(501)),
            (Version::HTTP_11, vec![host, ("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], Some(501)),
        ] {
            assert_eq!(checked(version, &fields), refused, "{fields:?}");
        }
    }

    #[test]
    fn a_head_is_bounded_to_the_byte() {
        let rest = "GET /livez HTTP/1.1\r\nhost: localhost\r\nx: \r\n\r\n".len();
        let head = |padding: usize| checked(Version::HTTP_11, &[("host", "localhost"), ("x", &"x".repeat(padding))]);
        assert_eq!((head(HEAD_BYTES - rest), head(HEAD_BYTES - rest + 1)), (None, Some(431)));
    }
}
