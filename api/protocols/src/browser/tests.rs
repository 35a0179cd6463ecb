//! What a browser is made to do, and what other clients do.

use axum::body::Body;

use super::*;

fn checked(method: Method, uri: &str, headers: &[(&str, &str)]) -> Result<(), (StatusCode, Option<String>)> {
    let request =
        headers.iter().fold(Request::builder().method(method).uri(uri), |request, (name, value)| {
            request.header(*name, *value)
        });
    check(Some(&["master.example.org".to_owned()]), &request.body(Body::empty()).unwrap())
        .map_err(|problem| (problem.status, problem.field))
}

#[test]
fn a_host_is_an_address_or_localhost() {
    let ours =
        ["127.0.0.1:5000", "127.0.0.1", "localhost:5000", "LOCALHOST", "localhost.", "[::1]:5000", "[::1]"];
    let more = ["127.0.1.1:80", "10.0.0.1:5000", "[2001:db8::1]:5000", "a.localhost:5000"];
    for host in ours.into_iter().chain(more) {
        assert_eq!(checked(Method::GET, "/", &[("host", host)]), Ok(()), "{host}");
        assert_eq!(checked(Method::POST, "/", &[("host", host)]), Ok(()), "{host}");
    }
    for host in ["example.org", "localhost.example.org:5000", "127.0.0.1.example.org", "evil-localhost"] {
        let refused = Err((StatusCode::FORBIDDEN, Some("host".to_owned())));
        assert_eq!(checked(Method::GET, "/", &[("host", host)]), refused, "{host}");
        assert_eq!(
            checked(Method::GET, &format!("http://{host}/"), &[("host", "127.0.0.1")]),
            refused,
            "{host}"
        );
    }
    assert_eq!(checked(Method::GET, "/", &[]), Ok(()));
    assert_eq!(checked(Method::GET, "http://127.0.0.1:5000/", &[]), Ok(()));
    let wrong = Err((StatusCode::BAD_REQUEST, Some("host".to_owned())));
    assert_eq!(checked(Method::GET, "/", &[("host", "a b")]), wrong);
    assert_eq!(checked(Method::GET, "/", &[("host", "127.0.0.1"), ("host", "example.org")]), wrong);
}

#[test]
fn a_page_of_somebody_else_writes_nothing() {
    let here = ("host", "127.0.0.1:5000");
    let refused = Err((StatusCode::FORBIDDEN, Some("origin".to_owned())));
    for origin in
        ["https://example.org", "null", "http://127.0.0.1:8080", "http://localhost:5000", "http://127.0.0.1"]
    {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(checked(method, "/", &[here, ("origin", origin)]), refused, "{origin}");
        }
        assert_eq!(checked(Method::GET, "/", &[here, ("origin", origin)]), Ok(()), "{origin}");
    }
    assert_eq!(checked(Method::POST, "/", &[here, ("origin", "http://127.0.0.1:5000")]), Ok(()));
    assert_eq!(checked(Method::POST, "/", &[("origin", "http://127.0.0.1:5000")]), refused);
}

#[test]
fn a_page_of_somebody_else_is_handed_no_secret() {
    let here = ("host", "127.0.0.1:5000");
    for path in GIVES_SECRETS {
        let foreign = checked(Method::GET, path, &[here, ("origin", "https://example.org")]);
        assert_eq!(foreign, Err((StatusCode::FORBIDDEN, Some("origin".to_owned()))), "{path}");
        let without = checked(Method::GET, path, &[here, ("sec-fetch-site", "cross-site")]);
        assert_eq!(without, Err((StatusCode::FORBIDDEN, Some("sec-fetch-site".to_owned()))), "{path}");
        assert_eq!(checked(Method::GET, path, &[here]), Ok(()));
        assert_eq!(checked(Method::GET, path, &[here, ("sec-fetch-site", "same-origin")]), Ok(()));
    }
    let refused = Err((StatusCode::FORBIDDEN, Some("sec-fetch-site".to_owned())));
    assert_eq!(checked(Method::POST, "/", &[here, ("sec-fetch-site", "cross-site")]), refused);
    assert_eq!(checked(Method::GET, "/", &[here, ("sec-fetch-site", "cross-site")]), Ok(()));
}
