//! A pod's log cut at every byte, with reports, secrets and invalid UTF-8, has one result.

use super::log_stamps::TimestampFilter;
use crate::Mask;
use crate::output::Output;
use crate::port::{LaunchEnd, LaunchId, LaunchOrder, StdoutUse, Stream};
use pop_contract::Exit;
use tokio::sync::mpsc;

/// Lines of a log: a report that is replaced later, secrets, invalid UTF-8, an empty line, carriage returns, a
/// line that only begins like a report, no final newline.
const LINES: [&[u8]; 10] = [
    b"plain\n",
    b"pop.report.progress {\"processingState\": \"EXECUTING\", \"percentComplete\": 40}\n",
    b"the key is s3cret-value\n",
    b"caf\xe9 \xff\xfe s3cret-value \xe2\x82\n",
    b"\n",
    b"10 %\r20 %\rdone\n",
    b"pop.report.other x\n",
    b"pop.report.payload {\"path\": \"/tmp/s3cret-value/x\", \"n\": 3}\n",
    b"s3cret-valu\n",
    b"pop.report.progress {\"processingState\": \"COMPLETE\", \"processingStateMessage\": \"succeeded\"}",
];

/// The lines as an API server sends them, several with the same timestamp.
fn log() -> Vec<u8> {
    let stamps = [1, 2, 2, 2, 3, 3, 4, 5, 5, 6];
    let line = |(line, stamp): (&[u8], i32)| {
        [format!("2026-01-02T03:04:0{stamp}.00000000{stamp}Z ").as_bytes(), line].concat()
    };
    LINES.into_iter().zip(stamps).flat_map(line).collect()
}

/// The end of a program whose log comes in these streams, each from the beginning, in pieces of this length.
async fn read(captured: StdoutUse, streams: &[&[u8]], length: usize) -> LaunchEnd {
    let order = LaunchOrder { captured, ..LaunchOrder::default() };
    let (events, mut heard) = mpsc::channel(1_000);
    let mask = Mask::new(["s3cret-value".to_owned()]);
    let mut output = Box::new(Output::new(LaunchId(1), order, &events, &mask));
    let mut timestamps = TimestampFilter::default();
    for stream in streams {
        timestamps.since();
        for piece in stream.chunks(length) {
            timestamps.take(piece, &mut |rest| output.take(Stream::Stdout, rest));
        }
        output.say_all().await;
    }
    while heard.try_recv().is_ok() {}
    output.finish(Ok(Exit::Code(0))).await
}

#[tokio::test]
async fn fr_k1_result_is_the_same_for_a_log_cut_at_any_byte() {
    let log = log();
    for captured in [StdoutUse::Nothing, StdoutUse::Log, StdoutUse::Whole] {
        let whole = read(captured, &[&log], log.len()).await;
        let printed = [whole.stdout.clone(), whole.log_tail.join("\n").into_bytes()].concat();
        assert!(!printed.windows(12).any(|part| part == b"s3cret-value"), "{whole:?}");
        if captured == StdoutUse::Nothing {
            assert_eq!(whole.said.result.as_ref().unwrap()["n"], 3);
            assert!(whole.said.progress.as_ref().unwrap().is_succeeded());
            assert_eq!(whole.said.breaches, [""; 0]);
        }
        for at in 0..=log.len() {
            let again = read(captured, &[&log[..at], &log], 7).await;
            assert_eq!(again, whole, "{captured:?} cut at {at}");
            // a second cut, before or after the first
            for second in [at / 2, at + (log.len() - at) / 2].into_iter().filter(|_| at % 7 == 0) {
                let again = read(captured, &[&log[..at], &log[..second], &log], 64).await;
                assert_eq!(again, whole, "{captured:?} cut at {at} and {second}");
            }
        }
        for length in 1..=64 {
            assert_eq!(read(captured, &[&log], length).await, whole, "{captured:?} in pieces of {length}");
        }
    }
}
