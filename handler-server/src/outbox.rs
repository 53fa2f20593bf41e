//! Messages that wait to be sent on: the queue of publishers and pushers.

use bytes::Bytes;
use std::collections::VecDeque;

/// Messages in their order, up to a limit.
#[derive(Debug)]
pub(crate) struct Outbox {
    limit: usize,
    messages: VecDeque<Vec<Bytes>>,
    is_open: bool,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, messages: VecDeque::new(), is_open: true }
    }

    /// Adds a message. A full outbox refuses it.
    pub(crate) fn add(&mut self, message: Vec<Bytes>) -> bool {
        let has_room = self.messages.len() < self.limit.max(1);
        if has_room {
            self.messages.push_back(message);
        }
        has_room
    }

    /// Opens or closes it: a closed outbox keeps its messages.
    pub(crate) fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Sends messages until `send` gives one back.
    pub(crate) fn flush(&mut self, mut send: impl FnMut(Vec<Bytes>) -> Result<(), Vec<Bytes>>) {
        while self.is_open
            && let Some(message) = self.messages.pop_front()
        {
            if let Err(message) = send(message) {
                self.messages.push_front(message);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str) -> Vec<Bytes> {
        vec![Bytes::from_static(text.as_bytes())]
    }

    #[test]
    fn a_closed_outbox_keeps_its_order_and_refuses_what_is_too_much() {
        let mut outbox = Outbox::new(2);
        outbox.set_open(false);
        assert!(outbox.add(message("a")) && outbox.add(message("b")) && !outbox.add(message("c")));
        let mut sent = Vec::new();
        let mut send = |message: Vec<Bytes>| {
            sent.push(message[0].clone());
            Ok(())
        };
        outbox.flush(&mut send);
        assert_eq!(outbox.len(), 2);
        outbox.set_open(true);
        outbox.flush(&mut send);
        assert_eq!((sent, outbox.len()), ([message("a"), message("b")].concat(), 0));
    }

    #[test]
    fn a_message_that_nobody_takes_stays_the_first() {
        let mut outbox = Outbox::new(2);
        outbox.add(message("a"));
        outbox.add(message("b"));
        outbox.flush(Err);
        let mut first = Vec::new();
        outbox.flush(|message| {
            first.push(message.clone());
            if first.len() == 1 { Ok(()) } else { Err(message) }
        });
        assert_eq!((first.concat(), outbox.len()), ([message("a"), message("b")].concat(), 1));
    }
}
