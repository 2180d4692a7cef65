//! Short cuts for transaction users that answer by themselves.

use base::Instant;

use super::{ServerId, Stack};
use crate::message::Message;

impl Stack {
    /// Answers `request` with a status and nothing else.
    pub fn reply(&mut self, now: Instant, server: ServerId, request: &Message, status: u16) {
        let response = self.answer(request, status);
        self.respond(now, server, response);
    }

    /// A response with a To tag of ours, unless it is a 100.
    pub fn answer(&mut self, request: &Message, status: u16) -> Message {
        let mut response = Message::answer(request, status);
        if status > 100 {
            response.tag_to(&self.random.token::<8>());
        }
        response
    }

    /// A fresh token for a tag or Call-ID.
    pub fn token(&mut self) -> String {
        self.random.token::<8>()
    }
}
