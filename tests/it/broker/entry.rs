//! Admission of runners: tokens and refused upgrades.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn the_right_auth_token_gets_a_grant_token() {
    let broker = start(config()).await;
    let token = grant(&broker).await;
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_ne!(token, grant(&broker).await);
}

#[tokio::test]
async fn a_wrong_auth_token_is_403_and_a_missing_one_is_400() {
    let broker = start(config()).await;
    assert_eq!(auth(&broker, r#"{"token": "wrong"}"#).await.0, 403);
    for body in [r#"{"token": ""}"#, "{}", "", "[", r#"{"token": 1}"#] {
        assert_eq!(auth(&broker, body).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn the_health_check_answers() {
    let broker = start(config()).await;
    let response = soon(client().get(format!("{}/healthz", broker.uri())).send()).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn an_upgrade_is_refused_with_the_status_that_says_why() {
    let broker = start(config()).await;
    let refusal = async |path: &str, authorization: Option<String>| {
        open(&broker, path, authorization.as_deref()).await.expect_err("a refusal")
    };
    assert_eq!(refusal("/runners/_ws?id=a", None).await, 401);
    assert_eq!(refusal("/runners/_ws?id=a", Some("Basic abc".into())).await, 401);
    assert_eq!(refusal("/runners/_ws?id=a", Some("Bearer wrong".into())).await, 403);
    assert_eq!(
        refusal("/elsewhere?id=a", Some(format!("Bearer {}", grant(&broker).await))).await,
        404
    );
    assert_eq!(
        refusal("/runners/_ws", Some(format!("Bearer {}", grant(&broker).await))).await,
        400
    );
    assert_eq!(
        refusal("/runners/_ws?id=", Some(format!("Bearer {}", grant(&broker).await))).await,
        400
    );
}

#[tokio::test]
async fn a_grant_token_works_once() {
    let broker = start(config()).await;
    let authorization = format!("Bearer {}", grant(&broker).await);
    assert!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.is_ok());
    assert_eq!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.err(), Some(403));
}

#[tokio::test]
async fn a_grant_token_expires() {
    let broker =
        start(BrokerConfig { grant_lifetime: Duration::from_millis(10), ..config() }).await;
    let authorization = format!("Bearer {}", grant(&broker).await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(open(&broker, "/runners/_ws?id=a", Some(&authorization)).await.err(), Some(403));
}

#[tokio::test]
async fn strangers_do_not_displace_a_registered_runner() {
    let broker = start(config()).await;
    let mut runner = Runner::register(&broker, "a").await;
    let address = broker.uri().replace("http://", "");
    let mut half_open = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: te").await.unwrap();
        half_open.push(stream);
    }
    let task = broker.submit(settings());
    let (task_id, _) = runner.take_task().await;
    // Another one gets through.
    let mut other = Runner::register(&broker, "b").await;
    assert_eq!(broker.runners(), 2);
    runner.done(&task_id, json!(1)).await;
    assert_eq!(done(&result_of(task).await), "1");
    other.silence().await;
    // The oldest of them made room.
    let ended = soon(half_open[0].read(&mut [0])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn an_empty_auth_token_is_no_protection_and_refused() {
    assert!(
        Broker::start(BrokerConfig { auth_token: String::new().into(), ..config() }).await.is_err()
    );
}
