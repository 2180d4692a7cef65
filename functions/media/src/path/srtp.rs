//! SRTP with one peer, by whatever way its keys came.

use base::relay::{MasterKey, MasterKeys};
use srtp::{Inbound, Outbound};

/// Without the key of a direction nothing passes in it.
#[derive(Default)]
pub(super) struct Srtp {
    inbound: Option<(MasterKey, Inbound)>,
    outbound: Option<(MasterKey, Outbound)>,
}

impl Srtp {
    /// These are the keys from now on. One that is in use already goes on where it is.
    pub(super) fn set(&mut self, MasterKeys { inbound, outbound }: MasterKeys) {
        if self.inbound.as_ref().map(|(key, _)| key) != inbound.as_ref() {
            self.inbound = inbound.map(|key| {
                let session = Inbound::new(&key);
                (key, session)
            });
        }
        if self.outbound.as_ref().map(|(key, _)| key) != outbound.as_ref() {
            self.outbound = outbound.map(|key| {
                let session = Outbound::new(&key);
                (key, session)
            });
        }
    }

    /// A packet of the peer, taken apart where it is; its length then. `None` if it is not authentic.
    pub(super) fn take(&mut self, rtcp: bool, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (_, inbound) = self.inbound.as_mut()?;
        let taken = match rtcp {
            true => inbound.unprotect_rtcp(buffer, length),
            false => inbound.unprotect(buffer, length),
        };
        taken.ok()
    }

    /// A packet for the peer, protected where it is; its length then.
    pub(super) fn seal(&mut self, rtcp: bool, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (_, outbound) = self.outbound.as_mut()?;
        let sealed = match rtcp {
            true => outbound.protect_rtcp(buffer, length),
            false => outbound.protect(buffer, length),
        };
        sealed.ok()
    }
}
