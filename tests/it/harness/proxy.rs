//! A TCP proxy between a client and the gateway that does to connections what networks do to them.
//!
//! Bytes are counted downstream: from the gateway to the client, the handshake included.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// The client library takes an answer to its handshake that comes in more than 512 packets for an attack.
const DRIBBLED_HEAD: usize = 4;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// After so many bytes both sides read an end.
    Cut(u64),
    /// After so many bytes both sides are reset.
    Reset(u64),
    /// Every piece, either way, waits for a random time up to this.
    Delay(Duration),
    /// Bytes come one at a time, either way; those of an answer's head, [`DRIBBLED_HEAD`] at a time.
    Dribble,
    /// Once told to begin, the client reads an end; what it says still reaches the gateway.
    ServerEnds,
    /// Once told to begin, the gateway reads an end; what it says still reaches the client.
    ClientEnds,
    /// Once told to begin, nothing is taken from the gateway any more.
    FreezeDown,
    /// Once told to begin, nothing is taken from the client any more.
    FreezeUp,
}

/// A proxy with one fault for all its connections, until it is dropped, which resets every connection through it.
pub(crate) struct Proxy {
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    gateway: SocketAddr,
    fault: Fault,
    rng: Mutex<SmallRng>,
    /// Bytes that were taken to be passed on downstream.
    down: AtomicU64,
    open: AtomicUsize,
    /// Whether the faults that wait to be told so have begun.
    begun: watch::Sender<bool>,
    resets: watch::Sender<()>,
}

/// How a connection ends before both sides have said all.
enum Over {
    Closed,
    Reset,
}

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self::Reset
    }
}

impl Proxy {
    /// A proxy before the gateway at `host:port`; `seed` is for whatever the fault leaves to chance.
    pub(crate) async fn to(gateway: &str, fault: Fault, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            gateway: gateway.parse().unwrap(),
            fault,
            rng: Mutex::new(SmallRng::seed_from_u64(seed)),
            down: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            begun: watch::Sender::new(false),
            resets: watch::Sender::new(()),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// The address of a session's socket through this proxy.
    pub(crate) fn socket(&self, session: &str) -> String {
        format!("ws://{}/api/v1/ws/{session}", self.address)
    }

    /// Bytes that were taken from the gateway so far.
    pub(crate) fn downstream(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Tells the fault to begin: nothing that comes from now on gets past it.
    pub(crate) fn begin(&self) {
        self.shared.begun.send_replace(true);
    }

    /// Resets every connection that is open, at once.
    pub(crate) fn reset_all(&self) {
        self.shared.resets.send_replace(());
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // Here and not in the task: who is accepted is reset with the others.
        let resets = shared.resets.subscribe();
        shared.open.fetch_add(1, Ordering::SeqCst);
        connections.spawn(async move {
            connect(client, &shared, resets).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn connect(mut client: TcpStream, shared: &Shared, mut resets: watch::Receiver<()>) {
    let Ok(mut server) = TcpStream::connect(shared.gateway).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let fault = shared.fault;
    let over = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let both = async {
            let down = downstream(from_server, to_client, fault, shared);
            let up = upstream(from_client, to_server, fault, shared);
            tokio::try_join!(down, up).map(|_| ())
        };
        tokio::select! {
            over = both => over,
            _ = resets.changed() => Err(Over::Reset),
        }
    };
    if matches!(over, Err(Over::Reset)) {
        // Either side may be gone already.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// From the gateway to the client.
async fn downstream(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, fault: Fault, shared: &Shared) -> Result<(), Over> {
    let mut begun = shared.begun.subscribe();
    let mut left = match fault {
        Fault::Cut(n) | Fault::Reset(n) => Some(n),
        _ => None,
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        if left == Some(0) {
            if matches!(fault, Fault::Reset(_)) {
                return Err(Over::Reset);
            }
            to.shutdown().await?;
            return Err(Over::Closed);
        }
        let most = left.map_or(buffer.len(), |left| buffer.len().min(usize::try_from(left).unwrap()));
        let read = tokio::select! {
            biased; // What comes after the beginning must not get through.
            true = async { begun.wait_for(|begun| *begun).await.is_ok() } => match fault {
                Fault::ServerEnds => {
                    to.shutdown().await?;
                    while from.read(&mut buffer).await? > 0 {}
                    return Ok(());
                }
                Fault::FreezeDown => std::future::pending().await,
                _ => from.read(&mut buffer[..most]).await?,
            },
            read = from.read(&mut buffer[..most]) => read?,
        };
        if read == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        // Counted before it is passed on: who has a byte of it finds it counted.
        let is_head = shared.down.fetch_add(read as u64, Ordering::SeqCst) == 0;
        pass(&mut to, &buffer[..read], is_head, fault, shared).await?;
        left = left.map(|left| left - read as u64);
    }
}

/// From the client to the gateway.
async fn upstream(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, fault: Fault, shared: &Shared) -> Result<(), Over> {
    let mut begun = shared.begun.subscribe();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            biased;
            true = async { begun.wait_for(|begun| *begun).await.is_ok() } => match fault {
                Fault::ClientEnds => {
                    to.shutdown().await?;
                    while from.read(&mut buffer).await? > 0 {}
                    return Ok(());
                }
                Fault::FreezeUp => std::future::pending().await,
                _ => from.read(&mut buffer).await?,
            },
            read = from.read(&mut buffer) => read?,
        };
        if read == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        let is_head = shared.down.load(Ordering::SeqCst) == 0;
        pass(&mut to, &buffer[..read], is_head, fault, shared).await?;
    }
}

async fn pass(to: &mut WriteHalf<'_>, bytes: &[u8], is_head: bool, fault: Fault, shared: &Shared) -> io::Result<()> {
    match fault {
        Fault::Dribble => {
            for bytes in bytes.chunks(if is_head { DRIBBLED_HEAD } else { 1 }) {
                to.write_all(bytes).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        Fault::Delay(most) => {
            let wait = most.mul_f64(shared.rng.lock().random());
            sleep(wait).await;
            to.write_all(bytes).await
        }
        _ => to.write_all(bytes).await,
    }
}
