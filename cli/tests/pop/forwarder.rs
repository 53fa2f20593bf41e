//! A TCP port that forwards to the Engine's socket, and can cut connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Passes connections on to an Engine's socket.
pub(crate) struct Forwarder {
    port: u16,
    cuts: Arc<AtomicUsize>,
}

impl Forwarder {
    /// One that passes everything on; with `cut`, the first connection to a container's output is cut after so many
    /// bytes of it.
    pub(crate) fn new(socket: &str, cut: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicUsize::new(0));
        let (socket, counted) = (socket.to_owned(), Arc::clone(&cuts));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (socket, counted) = (socket.clone(), Arc::clone(&counted));
                thread::spawn(move || forward(client, &socket, cut, &counted));
            }
        });
        Self { port, cuts }
    }

    /// The address of the Engine.
    pub(crate) fn host(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

fn forward(mut client: TcpStream, socket: &str, cut: Option<usize>, cuts: &AtomicUsize) {
    let mut engine = UnixStream::connect(socket).unwrap();
    let mut head = [0; 4096];
    let count = client.read(&mut head).unwrap_or(0);
    let is_attach = String::from_utf8_lossy(&head[..count]).contains("/attach?");
    if count == 0 || engine.write_all(&head[..count]).is_err() {
        return;
    }
    let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
    thread::spawn(move || {
        std::io::copy(&mut from, &mut to).ok();
        // an Engine may close its output when its input ends
        to.shutdown(Shutdown::Write).ok();
    });
    match cut.filter(|_| is_attach && cuts.load(Ordering::Relaxed) == 0) {
        None => std::io::copy(&mut engine, &mut client).map(drop).ok(),
        Some(limit) => {
            let mut answer = Vec::new();
            let mut byte = [0];
            while !answer.ends_with(b"\r\n\r\n") && engine.read(&mut byte).is_ok_and(|count| count > 0) {
                answer.push(byte[0]);
            }
            client.write_all(&answer).ok();
            let passed = std::io::copy(&mut engine.try_clone().unwrap().take(limit as u64), &mut client);
            cuts.fetch_add(usize::from(passed.is_ok_and(|passed| passed == limit as u64)), Ordering::Relaxed);
            None
        }
    };
    client.shutdown(Shutdown::Both).ok();
    engine.shutdown(Shutdown::Both).ok();
}
