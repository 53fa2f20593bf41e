//! Signals of a command that runs programs.

use pop_agenda::CancelReason;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Hears signals on a thread of its own, which nothing can hold up: the first asks, the second kills, the third
/// leaves at once, and children die with us. A signal that we were started to ignore (`nohup`) stays ignored.
pub(super) fn hear_signals(sender: mpsc::UnboundedSender<CancelReason>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let ignored = ignored_signals();
    let is_ignored = |kind: SignalKind| ignored >> (kind.as_raw_value() - 1) & 1 == 1;
    let listen = |kind: SignalKind| -> std::io::Result<Option<Signal>> {
        let _guard = runtime.enter();
        if is_ignored(kind) { Ok(None) } else { signal(kind).map(Some) }
    };
    // heard from before the first program starts
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    if is_ignored(SignalKind::child()) {
        // as long as nobody wants to hear of it, the kernel throws the ends of children away
        let _guard = runtime.enter();
        drop(signal(SignalKind::child())?);
    }
    let hear = async move {
        for heard in 1.. {
            let (reason, code) = tokio::select! {
                () = next(&mut interrupt) => (CancelReason::Interrupted, 130),
                () = next(&mut terminate) => (CancelReason::Terminated, 143),
                () = next(&mut hangup) => (CancelReason::Terminated, 143),
            };
            if heard > 2 || sender.send(reason).is_err() {
                std::process::exit(code);
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(hear))?;
    Ok(())
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Returns the signals that this process ignores, as the mask `SigIgn` of proc(5). Read once: the kernel takes its time
/// to write that file.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
