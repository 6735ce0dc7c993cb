//! The HTTP routes: health check, grant tokens, and the WebSocket upgrade.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::{connection, grants::equal_secrets, shared::SharedState};

/// Bytes of a runner id. n8n's runners send 22.
const MAX_ID: usize = 256;

/// Builds all routes.
pub(crate) fn router(shared: Arc<SharedState>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/runners/auth", post(auth))
        .route("/runners/_ws", get(upgrade))
        .with_state(shared)
}

#[derive(Deserialize)]
struct AuthRequest {
    token: String,
}

async fn auth(State(shared): State<Arc<SharedState>>, body: Bytes) -> Response {
    let token = match serde_json::from_slice::<AuthRequest>(&body) {
        Ok(request) if !request.token.is_empty() => request.token,
        _ => return refuse(StatusCode::BAD_REQUEST, "Token is required"),
    };
    if !equal_secrets(&token, shared.config.auth_token.expose_secret()) {
        tracing::warn!("a request had a wrong auth token");
        return refuse(StatusCode::FORBIDDEN, "Invalid token");
    }
    let token = shared.grants().issue(Instant::now());
    Json(json!({"data": {"token": token}})).into_response()
}

#[derive(Deserialize)]
struct UpgradeQuery {
    id: Option<String>,
}

async fn upgrade(
    State(shared): State<Arc<SharedState>>,
    Query(query): Query<UpgradeQuery>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if shared.matching().is_draining() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "Broker is closing");
    }
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "A grant token is required: Authorization: Bearer …",
        );
    };
    if !shared.grants().redeem(token, Instant::now()) {
        return refuse(StatusCode::FORBIDDEN, "Invalid, expired or used grant token");
    }
    let Some(id) = query.id.filter(|id| !id.is_empty() && id.len() <= MAX_ID) else {
        return refuse(StatusCode::BAD_REQUEST, "A runner id is required: ?id=…");
    };
    let Ok(permit) = shared.runner_permits.clone().try_acquire_owned() else {
        tracing::warn!("a runner was refused: too many are connected");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "Too many runners are connected");
    };
    match upgrade {
        Err(rejection) => rejection.into_response(),
        Ok(upgrade) => {
            let limit = usize::try_from(shared.config.max_payload.as_u64()).unwrap_or(usize::MAX);
            upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(async move |socket| {
                connection::serve(shared, id, socket).await;
                drop(permit);
            })
        }
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"message": message}))).into_response()
}
