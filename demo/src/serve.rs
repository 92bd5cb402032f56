//! The services' HTTP interfaces, on loopback.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use axum::Router;
use quadrille::http::OperatorAccess;
use tokio::net::TcpListener;

use crate::{show, stage::Stage};

/// Serves until Ctrl-C.
pub(crate) async fn until_interrupted(stage: &Stage, first_port: u16) -> Result<()> {
    let mut routers = vec![
        (0, "ORDER", order::router(stage.orders())),
        (1, "PAYMENT", payment::router_for(&stage.payment)(stage.payments())),
        (2, "INVENTORY", inventory::router(stage.stock())),
        (3, "SHIPPING", shipping::router(stage.shipments())),
    ];
    // The port between them is the gateway's.
    let notifications = stage.notifications().map(notification::router);
    routers.extend(notifications.map(|router| (5, "NOTIFICATION", router)));
    let mut servers = tokio::task::JoinSet::new();
    let mut addresses = vec![];
    for (offset, name, router) in routers {
        let port = if first_port == 0 { 0 } else { first_port.saturating_add(offset) };
        let address = serve(&mut servers, port, router).await?;
        show(&format!("{name}=http://{address}"));
        addresses.push(format!("{}=http://{address}", name.to_lowercase()));
    }
    // As `quadrille letters` and `quadrille saga` take it.
    show(&format!("QUADRILLE_SERVICES={}", addresses.join(",")));
    if let Some(till) = &stage.till {
        show(&format!("GATEWAY={}", till.url()));
    }
    show("Ctrl-C ends");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C"),
        Some(ended) = servers.join_next() => ended?.context("an HTTP interface has ended"),
    }
}

async fn serve(
    servers: &mut tokio::task::JoinSet<std::io::Result<()>>,
    port: u16,
    router: Router,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| {
        format!("cannot listen on port {port}; choose others with --port, or --port 0")
    })?;
    let address = listener.local_addr()?;
    let router = router.layer(axum::Extension(OperatorAccess::local()));
    servers.spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
