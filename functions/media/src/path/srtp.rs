//! SRTP with one peer, by whatever way its keys came.

use base::relay::{INDEX_STEP, MasterKey, MasterKeys, SecureSource};
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

    /// The keys that it has.
    pub(super) fn keys(&self) -> MasterKeys {
        let Srtp { inbound, outbound } = self;
        MasterKeys {
            inbound: inbound.as_ref().map(|(key, _)| key.clone()),
            outbound: outbound.as_ref().map(|(key, _)| key.clone()),
        }
    }

    /// Whether [`Srtp::sources`] are others since somebody asked last, for whoever could go on elsewhere.
    pub(super) fn take_news(&mut self) -> bool {
        let inbound = self.inbound.as_mut().is_some_and(|(_, i)| i.sources.take_news());
        self.outbound.as_mut().is_some_and(|(_, o)| o.sources.take_news()) || inbound
    }

    /// How far all sources are.
    pub(super) fn sources(&self, rtcp_port: bool) -> impl Iterator<Item = SecureSource> + '_ {
        let inbound = self.inbound.iter().map(|(_, inbound)| (false, &inbound.sources));
        let outbound = self.outbound.iter().map(|(_, outbound)| (true, &outbound.sources));
        inbound.chain(outbound).flat_map(move |(outbound, sources)| {
            let source =
                move |(ssrc, rtp, rtcp)| SecureSource { outbound, rtcp_port, ssrc, rtp, rtcp };
            sources.indices().map(source)
        })
    }

    /// Goes on with a source where somebody else was. Packets of RTCP have the numbers that we give them: none that he may
    /// have given.
    pub(super) fn resume(&mut self, source: &SecureSource) {
        let SecureSource { outbound, ssrc, rtp, rtcp, .. } = *source;
        let sources = match outbound {
            false => self.inbound.as_mut().map(|(_, inbound)| &mut inbound.sources),
            true => self.outbound.as_mut().map(|(_, outbound)| &mut outbound.sources),
        };
        let beyond = |index: u64| (index / INDEX_STEP + 2) * INDEX_STEP;
        let rtcp = if outbound { rtcp.map(beyond) } else { rtcp };
        // There is room: he had no more of them than we may have.
        let _ = sources.map(|sources| sources.resume(ssrc, rtp, rtcp));
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
