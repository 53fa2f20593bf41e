//! Tests of the lines of events.

use super::super::format::decode;
use super::*;
use pop_contract::{Blame, Failure};

fn started(at: u64, op: u32, attempt: u32) -> EventRecord {
    EventRecord { at: RunTime(at), event: RunEvent::AttemptStarted { op: OpIx(op), attempt } }
}

fn succeeded(
    at: u64,
    op: u32,
    result: Value,
    named_files: Vec<NamedFile>,
    usage: Option<Usage>,
) -> EventRecord {
    let ending = Ending::Succeeded { result: Arc::new(result) };
    let (op, attempt, named_files, files, instance) = (OpIx(op), 1, named_files.into(), None, None);
    let event = RunEvent::AttemptEnded { op, attempt, ending, named_files, files, instance, usage };
    EventRecord { at: RunTime(at), event }
}

fn file(number: u32) -> NamedFile {
    NamedFile {
        path: format!("file {number}").into(),
        stamp: "1 2 3".into(),
        changed: number.is_multiple_of(3),
    }
}

/// The texts of the lines that a writer appends for events.
fn texts(writer: &mut EventWriter, events: &[EventRecord]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for event in events {
        writer.write(event, &mut lines).unwrap();
    }
    lines.split(|byte| *byte == b'\n').filter_map(decode).map(<[u8]>::to_vec).collect()
}

fn read(texts: &[Vec<u8>]) -> Vec<EventRecord> {
    let mut reader = EventReader::default();
    let lines = texts.iter().map(|text| {
        reader.read(text).unwrap_or_else(|| panic!("unknown: {}", String::from_utf8_lossy(text)))
    });
    lines.filter_map(|line| if let Line::Event(event) = line { Some(event) } else { None }).collect()
}

#[test]
fn frequent_events_have_the_short_lines_of_the_document() {
    let usage = Usage { user_us: 412, sys_us: 387, preempted: 1, ..Usage::default() };
    let large = Usage { user_us: 900, mem_kib: 2048, major_faults: 3, ..Usage::default() };
    let events = [
        started(5, 0, 1),
        started(5, 1, 1),
        started(8, 2, 3),
        succeeded(10, 0, json!({"exitCode": 0}), vec![file(0)], Some(usage)),
        succeeded(10, 1, json!({"exitCode": 0, "stdout": "a b"}), vec![file(1), file(0)], Some(large)),
        succeeded(10, 2, json!(false), vec![file(1), file(0)], None),
        // the clock of a restored machine may be behind
        started(9, 3, 1),
    ];
    let texts = texts(&mut EventWriter::default(), &events);
    let shown: Vec<_> = texts.iter().map(|text| str::from_utf8(text).unwrap()).collect();
    let wanted = [
        r#"{"at":5,"event":{"AttemptStarted":{"op":0,"attempt":1}}}"#,
        "s1",
        "s2.3 3",
        r#"f0 {"path":"file 0","stamp":"1 2 3","changed":true}"#,
        "e0 2 u412,387,1 f0",
        r#"f1 {"path":"file 1","stamp":"1 2 3"}"#,
        r#"e1 u900,,,2048,,,3 f1,0 ={"exitCode":0,"stdout":"a b"}"#,
        "e2 f1,0 =false",
        r#"{"at":9,"event":{"AttemptStarted":{"op":3,"attempt":1}}}"#,
    ];
    assert_eq!(shown, wanted);
    assert_eq!(read(&texts), events);
}

/// Numbers that look random, always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn event(&mut self, at: u64) -> EventRecord {
        let op = OpIx(self.below(1 << 22) as u32 >> self.below(20));
        let attempt = 1 + self.below(2) as u32;
        let result = [json!({"exitCode": 0}), json!(0.1), json!("= f1 u2"), json!(null)];
        let result = Arc::new(result[self.below(4) as usize].clone());
        let mut usage = || if self.below(2) == 0 { self.below(3000) } else { 0 };
        let usage = Usage {
            user_us: usage(),
            sys_us: usage(),
            mem_kib: usage(),
            read_kib: usage(),
            write_kib: usage(),
            major_faults: usage(),
            preempted: usage(),
        };
        let files = [0, 1, 1, 2, 5, 16, 17, 40][self.below(8) as usize];
        let named_files = (0..files).map(|_| file(self.below(24) as u32)).collect();
        let event = match self.below(6) {
            0 | 1 => RunEvent::AttemptStarted { op, attempt },
            2..5 => RunEvent::AttemptEnded {
                op,
                attempt,
                ending: match self.below(8) {
                    0 => Ending::Failed(Box::new(Failure::new(Blame::Handler, "7", "seven"))),
                    _ => Ending::Succeeded { result },
                },
                named_files,
                files: (self.below(8) == 0).then(Arc::default),
                instance: (self.below(8) == 0).then(|| "i".into()),
                usage: (self.below(4) > 0).then_some(usage),
            },
            _ => RunEvent::BackoffEnded { op },
        };
        EventRecord { at: RunTime(at), event }
    }
}

#[test]
fn any_events_are_read_back_also_behind_lines_that_were_cut_off_and_by_another_writer() {
    for seed in 0..300 {
        let mut numbers = Numbers(seed);
        let mut writer = EventWriter::default();
        let (mut all, mut lines, mut at) = (Vec::new(), Vec::new(), 0);
        for _ in 0..20 {
            let batch: Vec<_> = (0..numbers.below(9))
                .map(|_| {
                    at = u64::max(at + numbers.below(3) * numbers.below(2000), 500) - numbers.below(2);
                    numbers.event(at)
                })
                .collect();
            let mut written = texts(&mut writer, &batch);
            if numbers.below(3) == 0 {
                // no room: a reader may have seen a part of the lines
                writer.undo();
                assert_eq!(texts(&mut writer, &batch), written);
            }
            writer.keep();
            all.extend(batch);
            lines.append(&mut written);
            if numbers.below(8) == 0 {
                writer = EventWriter::default();
            }
        }
        assert_eq!(read(&lines), all, "seed {seed}");
    }
}

#[test]
fn texts_of_another_grammar_are_unknown() {
    for text in [
        "s",
        "s-1",
        "s1.",
        "s1. 2",
        "s1 ",
        "s1 2 3",
        "s1x",
        "s4294967296",
        "s1.4294967296",
        "e1 u1,x",
        "e1 f0",
        "e1 u1,2,3,4,5,6,7,8",
        "e1 f9",
        "e1 f1,",
        "e1 =",
        "e1 ={",
        "e1 f1 u1",
        "e1  u1",
        "f1",
        "f16 {}",
        "f1 {}",
        "x1",
        "",
        "s1 18446744073709551615",
    ] {
        let mut reader = EventReader::default();
        reader.read(br#"{"at":5,"event":{"BackoffEnded":{"op":0}}}"#).unwrap();
        reader.read(br#"f1 {"path":"a","stamp":"b"}"#).unwrap();
        assert!(reader.read(text.as_bytes()).is_none(), "{text}");
    }
}

#[test]
fn same_files_of_consecutive_events_are_in_memory_once() {
    let event = |op: u32| succeeded(op.into(), op, json!({"exitCode": 0}), vec![file(1), file(2)], None);
    let events = read(&texts(&mut EventWriter::default(), &[started(0, 9, 1), event(0), event(1)]));
    let files = |record: &EventRecord| match &record.event {
        RunEvent::AttemptEnded { named_files, .. } => Arc::clone(named_files),
        _ => Arc::default(),
    };
    assert!(Arc::ptr_eq(&files(&events[1]), &files(&events[2])));
}
