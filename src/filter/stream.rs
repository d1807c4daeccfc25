//! One request.

use std::rc::Rc;

use log::debug;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use super::host;
use super::root::Worker;
use crate::authenticator::Step;
use crate::edits::forbidden_trailers;
use crate::flight::StreamId;
use crate::reply::{Denial, LocalReply};

/// The context of one request.
pub struct FilterStream {
    id: StreamId,
    worker: Option<Rc<Worker>>,
}

impl FilterStream {
    /// The context of the request `id`.
    pub const fn new(id: StreamId, worker: Option<Rc<Worker>>) -> Self {
        Self { id, worker }
    }
}

impl Context for FilterStream {}

impl HttpContext for FilterStream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(worker) = &self.worker else {
            host::reply(&LocalReply::from(Denial::Overloaded));
            return Action::Pause;
        };
        let fields = host::request_fields();
        let now = host::now();
        let step = worker.authenticator.borrow_mut().on_request(&fields, self.id, host::client_address, now);
        worker.ring();
        match step {
            Step::Continue(edits, state) => {
                host::set_filter_state(&state);
                host::edit(&edits);
                Action::Continue
            }
            Step::Reply(reply, state) => {
                host::set_filter_state(&state);
                debug!("request {}: answered {}", self.id, reply.status);
                host::reply(&reply);
                Action::Pause
            }
            Step::Wait => {
                debug!("request {}: waits for its session's exchange", self.id);
                Action::Pause
            }
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        if let Some(worker) = &self.worker {
            let trailers = host::request_trailers();
            forbidden_trailers(&trailers, &worker.config.identity).for_each(host::remove_request_trailer);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(worker) = &self.worker {
            let edits = worker.authenticator.borrow_mut().on_response(self.id, host::response_fields, host::now);
            edits.set_cookies.iter().for_each(|line| host::set_cookie(line));
            edits.cache_control.iter().for_each(|value| host::set_cache_control(value));
            worker.ring();
        }
        Action::Continue
    }
}

impl Drop for FilterStream {
    fn drop(&mut self) {
        let Some(worker) = &self.worker else { return };
        // The host never deletes a context from within a call of ours, so this borrow is the only one;
        // and if it were not, a waiter left behind is skipped when its turn comes.
        if let Ok(mut authenticator) = worker.authenticator.try_borrow_mut() {
            authenticator.on_end(self.id);
        }
        worker.ring();
    }
}
