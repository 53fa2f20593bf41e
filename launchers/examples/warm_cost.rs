//! Cost of a round trip to a warm instance, against a plain echo over a Unix socket: microseconds, medians of
//! alternated rounds. Arguments: operations of a round, rounds.
//!
//! Both other ends are this program in another process. Every end is an event loop of one thread and has the
//! allocator of `pop`. The echo sends a length and 100 bytes each way; each end needs one read and one write. The warm
//! side is whole: pool, frames, output, end of the launch. The orders are built before the clock starts, as is the
//! message of the echo.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use pop_launchers::process::ExecutorSocket;
use pop_launchers::{
    LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, ProcessLauncher, Program, Secrets,
    WarmLauncher, WarmOrder,
};
use pop_warm::frame::{Decoder, Kind, write};
use pop_warm::{Hello, PoolSettings, VERSION, end_body};
use std::env::{args, current_dir, current_exe, var, vars_os};
use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

const MESSAGE: [u8; 100] = [b'x'; 100];
/// Bytes of a message of the echo: a length of four bytes and the content.
const LENGTH: usize = 4 + MESSAGE.len();

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = args().skip(1);
    match arguments.next().as_deref() {
        Some("echo") => echo(&arguments.next().ok_or("no path")?),
        Some("instance") => instance(),
        count => {
            let count = count.unwrap_or("2000").parse()?;
            measure(count, arguments.next().as_deref().unwrap_or("7").parse()?)
        }
    }
}

/// The other end of the plain socket.
fn echo(path: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = UnixStream::connect(path).await?;
        let mut message = [0; LENGTH];
        while read_exact(&stream, &mut message).await? {
            write_all(&stream, &message).await?;
        }
        Ok(())
    })
}

/// Reads a whole message; false at the end of the stream.
async fn read_exact(stream: &UnixStream, message: &mut [u8; LENGTH]) -> io::Result<bool> {
    // more room than the message needs: the event loop then knows that the socket is empty without another read
    let mut piece = [0; LENGTH + 1];
    let mut done = 0;
    while done < message.len() {
        stream.readable().await?;
        match stream.try_read(&mut piece[done..]) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                done += count;
                let empty = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                stream.try_io(Interest::READABLE, empty).ok();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    message.copy_from_slice(&piece[..LENGTH]);
    Ok(true)
}

async fn write_all(stream: &UnixStream, message: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < message.len() {
        stream.writable().await?;
        match stream.try_write(&message[done..]) {
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// An instance that does nothing.
fn instance() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = ExecutorSocket::take(var(pop_warm::SOCKET_VARIABLE)?.parse()?)?;
        let mut unsent = Vec::new();
        write(&mut unsent, Kind::Hello, 0, &Hello { version: VERSION, ..Hello::default() }.body());
        socket.write_all(&unsent)?;
        let (mut decoder, mut piece) = (Decoder::default(), vec![0; 64 * 1024]);
        loop {
            let count = socket.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            decoder.take(&piece[..count]);
            unsent.clear();
            while let Some(frame) = decoder.next_frame()? {
                match frame.kind {
                    Kind::Handle => write(&mut unsent, Kind::End, frame.id, &end_body(0)),
                    Kind::Bye => return Ok(()),
                    _ => {}
                }
            }
            socket.write_all(&unsent)?;
        }
    })
}

fn measure(count: u64, rounds: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        figures[0].push(runtime.block_on(plain(count))?);
        for (at, outstanding) in [(1, 1), (2, 64)] {
            figures[at].push(runtime.block_on(warm(count, outstanding))?);
        }
    }
    let [plain, one, many] = figures.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    });
    println!("plain echo, 1 outstanding       {plain:7.1} us");
    println!("warm instance, 1 outstanding    {one:7.1} us   {:.2} of the echo", one / plain);
    println!("warm instance, 64 outstanding   {many:7.1} us   {:.1} times less than 1", one / many);
    Ok(())
}

/// Microseconds of one round trip.
async fn plain(count: u64) -> Result<f64, Failure> {
    let path = std::env::temp_dir().join(format!("warm-cost-{}", std::process::id()));
    // left by an earlier process of this number, if any
    fs::remove_file(&path).ok();
    let listener = UnixListener::bind(&path)?;
    let mut child = Command::new(current_exe()?).arg("echo").arg(&path).spawn()?;
    let (stream, _) = listener.accept().await?;
    let mut message = [0; LENGTH];
    message[4..].copy_from_slice(&MESSAGE);
    let mut start = Instant::now();
    for number in 0..=count {
        if number == 1 {
            // the first trip waits for the other process
            start = Instant::now();
        }
        write_all(&stream, &message).await?;
        read_exact(&stream, &mut message).await?;
    }
    let time = start.elapsed();
    drop(stream);
    child.wait()?;
    fs::remove_file(&path)?;
    Ok(micros(time, count))
}

async fn warm(count: u64, outstanding: u64) -> Result<f64, Failure> {
    let launcher =
        WarmLauncher::new(Arc::new(ProcessLauncher::new(vars_os(), current_dir()?)), Secrets::default());
    let program = current_exe()?.to_string_lossy().into_owned();
    let slots = u32::try_from(outstanding)?;
    let order = |id: u64| LaunchOrder {
        name: format!("cost-{id}"),
        program: Program { argv: vec![program.clone(), "instance".to_owned()], ..Program::default() },
        warm: Some(Box::new(WarmOrder {
            settings: PoolSettings { max: 1, slots, ..PoolSettings::default() },
            handler: "cost".to_owned(),
            version: None,
            subject: id,
            variables: vec![("OPERATION_NAME".to_owned(), "cost".to_owned())],
            lane: None,
            payload: Some(String::from_utf8_lossy(&MESSAGE).into()),
            run_once: Arc::new(|_| Ok(())),
        })),
        ..LaunchOrder::default()
    };
    let (sender, mut updates) = mpsc::channel::<LaunchUpdate>(1_024);
    let mut ended = async || -> Result<(), Failure> {
        match updates.recv().await.map(|update| update.event) {
            Some(LaunchEvent::Ended(end)) => end.exit.map(drop).map_err(|failure| failure.message.into()),
            other => Err(format!("{other:?} instead of an end").into()),
        }
    };
    launcher.launch(LaunchId(0), order(0), &sender);
    ended().await?;
    let mut orders = (1..=count).map(|id| (LaunchId(id), order(id))).collect::<Vec<_>>().into_iter();
    let start = Instant::now();
    for done in 0..count {
        let room = if done == 0 { slots } else { 1 };
        for (id, order) in orders.by_ref().take(room as usize) {
            launcher.launch(id, order, &sender);
        }
        ended().await?;
    }
    let time = start.elapsed();
    launcher.close().await;
    Ok(micros(time, count))
}

fn micros(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
