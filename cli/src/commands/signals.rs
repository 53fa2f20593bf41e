//! Signals of a command that runs programs.

use pop_agenda::CancelReason;
use pop_executor::RunRequest;
use pop_reporters::run::Suspension;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Signal of Ctrl-Z.
const TERMINAL_STOP: SignalKind = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());

/// Whether [`suspend`] has stopped this process.
pub(super) static SUSPENSION: Suspension = Suspension::new();

/// Sends the reason of each signal that ends the command. The first asks operations to stop, the second kills them, the
/// third ends pop at once.
pub(super) fn hear_signals(sender: mpsc::UnboundedSender<CancelReason>) -> std::io::Result<()> {
    listen(false, move |request| match request {
        RunRequest::Cancel(reason) => sender.send(reason).is_ok(),
        RunRequest::Suspend => true,
    })
}

/// The requests of signals to a run: to end it, as [`hear_signals`] does, and to suspend it (Ctrl-Z).
pub(super) fn run_requests() -> std::io::Result<mpsc::UnboundedReceiver<RunRequest>> {
    let (sender, requests) = mpsc::unbounded_channel();
    listen(true, move |request| sender.send(request).is_ok())?;
    Ok(requests)
}

/// Stops this process until it is continued (`fg`).
pub(super) fn suspend() {
    SUSPENSION.begin();
    // if the signal is not permitted, the process continues
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP).ok();
    SUSPENSION.end();
}

/// Receives signals on a separate thread, which no other work delays; children end with this process. A signal that
/// this process was started to ignore (`nohup`) stays ignored. `send` returns false when the receiver is gone.
fn listen(suspends: bool, send: impl Fn(RunRequest) -> bool + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let ignored = ignored_signals();
    let is_ignored = |kind: SignalKind| ignored >> (kind.as_raw_value() - 1) & 1 == 1;
    let listen = |kind: SignalKind| -> std::io::Result<Option<Signal>> {
        let _guard = runtime.enter();
        if is_ignored(kind) { Ok(None) } else { signal(kind).map(Some) }
    };
    // signals are received before the first program starts
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut stop = if suspends { listen(TERMINAL_STOP)? } else { None };
    if is_ignored(SignalKind::child()) {
        // while SIGCHLD is ignored, the kernel discards how children ended
        let _guard = runtime.enter();
        drop(signal(SignalKind::child())?);
    }
    let receive = async move {
        let mut received = 0;
        loop {
            let (reason, code) = tokio::select! {
                () = next(&mut interrupt) => (CancelReason::Interrupted, 130),
                () = next(&mut terminate) => (CancelReason::Terminated, 143),
                () = next(&mut hangup) => (CancelReason::Terminated, 143),
                () = next(&mut stop) => {
                    send(RunRequest::Suspend);
                    continue;
                }
            };
            received += 1;
            if received > 2 || !send(RunRequest::Cancel(reason)) {
                std::process::exit(code);
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(receive))?;
    Ok(())
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Mask of ignored signals, `SigIgn` of proc(5). Read once, because the kernel is slow to write that file.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
