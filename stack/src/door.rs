//! Where clients come in: what comes in here can be cut, and the door can be closed for a while.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

/// Serves connections until it is dropped; then all of them are cut.
#[derive(Debug)]
pub(crate) struct Door {
    latch: Arc<Latch>,
    listening: AbortHandle,
}

#[derive(Debug, Default)]
struct Latch {
    closed: AtomicBool,
    /// Rises with every cut.
    cuts: watch::Sender<u64>,
}

impl Door {
    /// Serves each connection in a task of its own, which ends when its receiver changes: it was cut.
    pub(crate) fn of<F>(
        listener: TcpListener,
        serve: impl Fn(TcpStream, watch::Receiver<u64>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let latch = Arc::new(Latch::default());
        let inside = Arc::clone(&latch);
        let task: JoinHandle<()> = tokio::spawn(async move {
            // A connection that cannot be accepted is the client's trouble, and it will come again.
            while let Ok((client, _)) = listener.accept().await {
                if !inside.closed.load(Ordering::SeqCst) {
                    drop(tokio::spawn(serve(client, inside.cuts.subscribe())));
                }
            }
        });
        Self { latch, listening: task.abort_handle() }
    }

    pub(crate) fn cut(&self) {
        self.latch.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts, and lets nobody in until [`open`](Self::open).
    pub(crate) fn close(&self) {
        self.latch.closed.store(true, Ordering::SeqCst);
        self.cut();
    }

    pub(crate) fn open(&self) {
        self.latch.closed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}
