//! One client's connection: a task in each direction, so that a client that dies does not take with it
//! what it has sent.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use anyhow::Result;
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::{
    Shared,
    wire::{FETCH, Frame, Kind, Version},
};

/// The kinds of the requests whose answers are awaited, by their numbers.
type Asked = Arc<Mutex<HashMap<i32, Kind>>>;

/// Until both sides have closed, or the connection is cut.
pub(super) async fn serve(client: TcpStream, shared: Arc<Shared>, mut cuts: watch::Receiver<u64>) {
    let Ok(broker) = TcpStream::connect(&shared.broker).await else { return };
    // Small requests must not wait for each other.
    let _ = (client.set_nodelay(true), broker.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let asked = Asked::default();
    let requests = async {
        let _ = requests(from_client, to_broker, &shared, &asked).await;
        // The broker reads what has come, and closes.
        std::future::pending().await
    };
    tokio::select! {
        () = requests => {}
        // The broker has closed or died: what is still held back has nowhere to go.
        _ = answers(from_broker, to_client, &shared, &asked) => {}
        _ = cuts.changed() => {}
    }
}

async fn requests(
    mut client: OwnedReadHalf,
    mut broker: OwnedWriteHalf,
    shared: &Shared,
    asked: &Asked,
) -> Result<()> {
    while let Some(frame) = Frame::read(&mut client).await? {
        let (kind, number) = (frame.kind()?, frame.request_number()?);
        shared.note(kind, frame.version()?);
        if shared.loses(kind) {
            continue;
        }
        asked.lock().unwrap_or_else(PoisonError::into_inner).insert(number, kind);
        shared.pass(kind).await;
        broker.write_all(&frame.0).await?;
    }
    Ok(broker.shutdown().await?)
}

/// Until the broker closes; a client that has died misses its answers.
async fn answers(
    mut broker: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Shared,
    asked: &Asked,
) -> Result<()> {
    while let Some(mut frame) = Frame::read(&mut broker).await? {
        let number = frame.answer_number()?;
        let kind = asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if kind != Some(FETCH) {
            frame.replace_port(&shared.host, shared.broker_port, shared.port);
        }
        let _ = client.write_all(&frame.0).await;
    }
    Ok(())
}

impl Shared {
    fn note(&self, kind: Kind, version: Version) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = newest.entry(kind).or_insert(version);
        *newest = version.max(*newest);
    }

    /// Whether requests of this kind get lost; counts it then.
    fn loses(&self, kind: Kind) -> bool {
        let loses = self.losing.borrow().contains(&kind);
        if loses {
            self.lost.fetch_add(1, Ordering::SeqCst);
        }
        loses
    }

    /// Returns at once, or when requests of this kind are no longer held back.
    async fn pass(&self, kind: Kind) {
        let mut kinds = self.kinds.subscribe();
        if !kinds.borrow().contains(&kind) {
            return;
        }
        self.held.fetch_add(1, Ordering::SeqCst);
        let _counted = Counted(self);
        // It fails when the proxy is gone; then this task goes as well.
        let _ = kinds.wait_for(|kinds| !kinds.contains(&kind)).await;
    }
}

/// One that is held; not any more once dropped.
struct Counted<'a>(&'a Shared);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}
