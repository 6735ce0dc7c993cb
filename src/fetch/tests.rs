//! Requests to real servers on this machine.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json, value::to_raw_value};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{AllowedHost, FetchError, Network, NetworkLimits, network::Resolver};

/// What a server has received, one text for each connection.
type Seen = Arc<Mutex<Vec<String>>>;

/// Starts a server that reads a request's head and calls `answer` with the connection.
async fn serve<F>(answer: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> (SocketAddr, Seen)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let record = seen.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            record.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
            tokio::spawn(answer(stream));
        }
    });
    (address, seen)
}

/// Starts a server that always sends these bytes.
async fn serve_bytes(bytes: impl Into<Vec<u8>>) -> (SocketAddr, Seen) {
    let bytes: Arc<[u8]> = bytes.into().into();
    serve(move |mut stream| {
        let bytes = bytes.clone();
        async move { drop(stream.write_all(&bytes).await) }
    })
    .await
}

fn entries(texts: &[&str]) -> Vec<AllowedHost> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn network(texts: &[&str]) -> Network {
    Network::new(entries(texts))
}

/// A network whose names all have these addresses, and the number of look-ups.
fn resolving(
    texts: &[&str],
    addresses: impl Fn(usize) -> Vec<&'static str> + Send + Sync + 'static,
) -> (Network, Arc<AtomicUsize>) {
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = lookups.clone();
    let resolve = move |_: &str| -> Vec<IpAddr> {
        let found = addresses(count.fetch_add(1, Ordering::Relaxed));
        found.iter().map(|text| text.parse().unwrap()).collect()
    };
    let resolver = Resolver::Fixed(Arc::new(resolve));
    (Network::with_resolver(entries(texts), NetworkLimits::default(), resolver), lookups)
}

async fn send(network: &Network, request: Value) -> Result<Value, FetchError> {
    let params = to_raw_value(&[request]).unwrap();
    network.send(&params).await.map(|response| serde_json::to_value(response).unwrap())
}

async fn get(network: &Network, url: &str) -> Result<Value, FetchError> {
    send(network, json!({"method": "GET", "url": url})).await
}

fn body(response: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(response["body"].as_str().unwrap()).unwrap()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn an_allowed_request_gets_its_response() {
    let (address, seen) = serve_bytes(
        b"HTTP/1.1 404 Nothing here\r\nX-A: 1\r\nX-A: \xe9\r\nContent-Encoding: gzip\r\n\
          Transfer-Encoding: chunked\r\n\r\n3\r\n\x00\xff\n\r\n0\r\n\r\n"
            .to_vec(),
    )
    .await;
    let network = network(&[&address.to_string()]);
    let url = format!("http://{address}/a?b=c#d");
    let request = json!({
        "method": "PUT", "url": url, "body": "AAH/",
        "headers": [["X-Key", "1"], ["Host", "other"], ["Content-Length", "9"]],
    });
    let response = send(&network, request).await.unwrap();
    assert_eq!(response["status"], 404);
    assert_eq!(response["reason"], "Nothing here");
    assert_eq!(
        response["headers"],
        json!([["x-a", "1"], ["x-a", "é"], ["content-encoding", "gzip"]])
    );
    assert_eq!(body(&response), b"\x00\xff\n");
    let head = seen.lock().unwrap()[0].to_lowercase();
    assert!(head.starts_with("put /a?b=c http/1.1\r\n"), "{head}");
    for field in [format!("host: {address}"), "content-length: 3".into(), "x-key: 1".into()] {
        assert!(head.contains(&format!("{field}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn hosts_and_ports_that_are_not_named_are_refused() {
    let (address, seen) = serve_bytes(OK).await;
    let port = address.port();
    let network = network(&["api.example.com", &format!("127.0.0.2:{port}")]);
    for host in [
        format!("127.0.0.1:{port}"),
        format!("0x7f.1:{port}"),
        format!("2130706433:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::ffff:127.0.0.2]:{port}"),
        format!("[::127.0.0.2]:{port}"),
        format!("[64:ff9b::7f00:2]:{port}"),
        format!("localhost:{port}"),
        format!("api.example.com:{port}"),
        "api.example.com.evil.example".into(),
    ] {
        let error = get(&network, &format!("http://{host}/")).await.unwrap_err();
        assert!(matches!(error, FetchError::NotAllowed(_)), "{host}: {error}");
    }
    let error = get(&network, &format!("http://api.example.com@127.0.0.1:{port}/")).await;
    assert!(matches!(error.unwrap_err(), FetchError::Invalid(_)));
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_name_with_a_private_address_is_refused() {
    let (address, seen) = serve_bytes(OK).await;
    let url = format!("http://api.example.com:{}/", address.port());
    for text in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1"] {
        let (network, _) = resolving(&["*:*"], move |_| vec![text]);
        let error = get(&network, &url).await.unwrap_err();
        assert!(matches!(error, FetchError::NotPublic { .. }), "{text}: {error}");
        assert_eq!(error.kind(), "refused");
    }
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_private_address_that_is_named_is_reached() {
    let (address, _) = serve_bytes(OK).await;
    let entry = format!("127.0.0.0/8:{}", address.port());
    // The first address is not allowed, so it is not tried.
    let (network, _) = resolving(&["*.example.com:*", &entry], |_| vec!["10.0.0.1", "127.0.0.1"]);
    let url = format!("http://api.example.com:{}/", address.port());
    assert_eq!(body(&get(&network, &url).await.unwrap()), b"hi");
}

#[tokio::test]
async fn the_checked_address_is_used_without_a_second_look_up() {
    let (address, seen) = serve_bytes(OK).await;
    let entry = format!("127.0.0.1:{}", address.port());
    // The second answer is the rebound one.
    let (network, lookups) = resolving(&["a.example.com:*", &entry], |number| {
        if number == 0 { vec!["127.0.0.1"] } else { vec!["127.0.0.2"] }
    });
    let url = format!("http://a.example.com:{}/", address.port());
    get(&network, &url).await.unwrap();
    assert_eq!((lookups.load(Ordering::Relaxed), seen.lock().unwrap().len()), (1, 1));
    // The next request checks the new address.
    let error = get(&network, &url).await.unwrap_err();
    assert!(matches!(error, FetchError::NotPublic { .. }), "{error}");
    // A dot at the end of the name leads to the same checks.
    let error = get(&network, &url.replace(".com", ".com.")).await.unwrap_err();
    assert!(matches!(error, FetchError::NotPublic { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (inner, seen) = serve_bytes(OK).await;
    let (address, _) = serve_bytes(format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{inner}/\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    let network = network(&[&address.to_string()]);
    let response = get(&network, &format!("http://{address}/")).await.unwrap();
    assert_eq!(response["status"], 302);
    let error = get(&network, &format!("http://{inner}/")).await.unwrap_err();
    assert!(matches!(error, FetchError::NotAllowed(_)), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 0);
}

fn limited(address: SocketAddr, limits: NetworkLimits) -> Network {
    Network::with_limits(entries(&[&address.to_string()]), limits)
}

#[tokio::test]
async fn the_size_of_a_response_obeyed() {
    let (address, _) = serve_bytes(OK).await;
    let network = limited(address, NetworkLimits::default().response_body(2));
    assert_eq!(body(&get(&network, &format!("http://{address}/")).await.unwrap()), b"hi");
}

#[tokio::test]
async fn the_size_of_a_response_violated() {
    let (address, _) = serve_bytes(OK).await;
    let network = limited(address, NetworkLimits::default().response_body(1));
    let error = get(&network, &format!("http://{address}/")).await.unwrap_err();
    assert_eq!(error, FetchError::TooLarge { what: "response", limit: 1 });
}

#[tokio::test]
async fn an_endless_response_ends_at_the_limit() {
    let (address, _) = serve(|mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let network = limited(address, NetworkLimits::default().response_body(1 << 20));
    let error = get(&network, &format!("http://{address}/")).await.unwrap_err();
    assert_eq!(error, FetchError::TooLarge { what: "response", limit: 1 << 20 });
}

#[tokio::test]
async fn an_endless_response_header_is_refused() {
    let (address, _) = serve(|mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n").await);
        while stream.write_all(b"X-Y: 0123456789\r\n").await.is_ok() {}
    })
    .await;
    let error = get(&network(&[&address.to_string()]), &format!("http://{address}/")).await;
    assert!(matches!(error.unwrap_err(), FetchError::Broken(_)));
}

#[tokio::test]
async fn the_time_of_a_request_obeyed() {
    let (address, _) = serve(|mut stream| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(stream.write_all(OK.as_bytes()).await);
    })
    .await;
    let network = limited(address, NetworkLimits::default().time(Duration::from_secs(20)));
    get(&network, &format!("http://{address}/")).await.unwrap();
}

#[tokio::test]
async fn the_time_of_a_request_violated() {
    // One byte each 10 ms: no single read is slow.
    let (address, _) = serve(|mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let limit = Duration::from_millis(200);
    let network = limited(address, NetworkLimits::default().time(limit));
    let url = format!("http://{address}/");
    let start = Instant::now();
    assert_eq!(get(&network, &url).await.unwrap_err(), FetchError::Late(limit));
    let request = json!({"method": "GET", "url": url, "timeout": 0.05});
    let error = send(&network, request).await.unwrap_err();
    assert_eq!(error, FetchError::Late(Duration::from_millis(50)));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_number_of_requests_obeyed_and_violated() {
    let (address, seen) = serve_bytes(OK).await;
    let network = limited(address, NetworkLimits::default().requests(2));
    let url = format!("http://{address}/");
    get(&network, &url).await.unwrap();
    get(&network.clone(), &url).await.unwrap();
    for _ in 0..2 {
        assert_eq!(get(&network, &url).await.unwrap_err(), FetchError::TooMany(2));
    }
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn requests_in_flight_wait_at_the_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = most.clone();
    let (address, _) = serve(move |mut stream| {
        let (now, most) = (now.clone(), most.clone());
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            drop(stream.write_all(OK.as_bytes()).await);
        }
    })
    .await;
    let network = limited(address, NetworkLimits::default().in_flight(2));
    let url = format!("http://{address}/");
    let all = futures_util::future::join_all((0..6).map(|_| get(&network, &url))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(highest.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_or_http_is_an_error() {
    let (address, _) = serve_bytes("220 mail.example.com ESMTP\r\n").await;
    let network = network(&[&address.to_string()]);
    let error = get(&network, &format!("http://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), "broken", "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(stream.write_all(OK.as_bytes()).await);
    });
    let network = Network::new(entries(&[&address.to_string()]));
    let error = get(&network, &format!("https://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), "connect", "{error}");
}

#[tokio::test]
async fn a_closed_port_is_an_error_of_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&network(&[&address.to_string()]), &format!("http://{address}/")).await;
    assert!(matches!(error.unwrap_err(), FetchError::Connect { .. }));
}

#[tokio::test]
async fn the_text_of_an_error_names_the_entry() {
    let error = get(&network(&[]), "https://api.example.com/x").await.unwrap_err();
    let text: Value = serde_json::from_str(&error.to_answer()).unwrap();
    assert_eq!(
        text,
        json!({
            "kind": "refused",
            "message": "the host api.example.com is not allowed",
            "entry": "api.example.com",
        })
    );
}
