//! A connection whose other side has to move.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// A stream that fails once no byte has gone either way for some time: a reader that does not read, a sender that does
/// not send, a connection that nobody uses.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Looked at when it is over. Moving it at each byte would cost more than the byte.
    alarm: Pin<Box<Sleep>>,
    moved: Instant,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        let now = Instant::now();
        Self { stream, patience, alarm: Box::pin(sleep_until(now + patience)), moved: now }
    }

    /// Fails once the time is over, and wakes the task then.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.alarm.as_mut().poll(context));
            let until = self.moved + self.patience;
            if until <= Instant::now() {
                let text = format!("no byte went either way for {} s", self.patience.as_secs_f32());
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
            self.alarm.as_mut().reset(until);
        }
    }

    /// Notes that something went, or waits.
    fn moved<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match result {
            Poll::Pending => self.wait(context),
            done => {
                self.moved = Instant::now();
                done
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, into);
        self.moved(context, result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.moved(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.moved(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.wait(context),
            done => done,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Pending => self.wait(context),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Real time: no assertion says how soon something happens, only what happens and how early it may not.
    const PATIENCE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_stream_that_stands_still_fails_when_the_time_is_over_and_not_before() {
        let (_other, stream) = tokio::io::duplex(8);
        let began = Instant::now();
        let error = Patient::new(stream, PATIENCE).read_u8().await.expect_err("nothing came");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "no byte went either way for 0.2 s");
        assert!(began.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn each_byte_gives_the_whole_time_again() {
        let (mut other, stream) = tokio::io::duplex(8);
        let (began, mut patient) = (Instant::now(), Patient::new(stream, PATIENCE));
        for byte in 0..3 {
            tokio::time::sleep(PATIENCE / 2).await;
            other.write_u8(byte).await.expect("written");
            assert_eq!(patient.read_u8().await.expect("a byte"), byte);
        }
        assert_eq!(patient.read_u8().await.expect_err("no more").kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE * 5 / 2);
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_is_given_up() {
        let (_other, stream) = tokio::io::duplex(8);
        let error = Patient::new(stream, PATIENCE).write_all(&[0; 9]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
