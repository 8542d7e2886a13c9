//! A connection of which only so much is read at first: a client that has not said who it is must not fill memory with
//! a frame that it never ends. Uses nothing of ours.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection, and how many bytes may still be read from it.
pub(super) struct Metered<S> {
    io: S,
    left: Option<usize>,
}

impl<S> Metered<S> {
    /// Of which nothing may be read yet.
    pub(super) const fn new(io: S) -> Self {
        Self { io, left: Some(0) }
    }

    /// So many bytes may be read from now on; `None`: all.
    pub(super) const fn allow(&mut self, bytes: Option<usize>) {
        self.left = bytes;
    }

    /// Whether more was there than may be read.
    pub(super) fn is_used_up(&self) -> bool {
        self.left == Some(0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(left) = &mut this.left else { return Pin::new(&mut this.io).poll_read(context, buf) };
        if *left == 0 {
            return Poll::Ready(Err(io::Error::other("more than may be read")));
        }
        let mut some = buf.take(*left);
        ready!(Pin::new(&mut this.io).poll_read(context, &mut some))?;
        let read = some.filled().len();
        *left -= read;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
