//! SRTP with one peer, by whatever way its keys came.

use base::relay::{INDEX_STEP, MasterKey, MasterKeys, SecureSource};
use srtp::{Inbound, Outbound};

/// Without the key of a direction nothing passes in it.
#[derive(Default)]
pub(super) struct Srtp {
    inbound: Option<Box<(MasterKey, Inbound)>>,
    outbound: Option<Box<(MasterKey, Outbound)>>,
}

impl Srtp {
    /// These are the keys from now on. One that is in use already goes on where it is.
    pub(super) fn set(&mut self, MasterKeys { inbound, outbound }: MasterKeys) {
        if self.inbound.as_ref().map(|of| &of.0) != inbound.as_ref() {
            self.inbound = inbound.map(|key| {
                let session = Inbound::new(&key);
                Box::new((key, session))
            });
        }
        if self.outbound.as_ref().map(|of| &of.0) != outbound.as_ref() {
            self.outbound = outbound.map(|key| {
                let session = Outbound::new(&key);
                Box::new((key, session))
            });
        }
    }

    /// The keys that it has.
    pub(super) fn keys(&self) -> MasterKeys {
        let Srtp { inbound, outbound } = self;
        MasterKeys {
            inbound: inbound.as_ref().map(|both| both.0.clone()),
            outbound: outbound.as_ref().map(|both| both.0.clone()),
        }
    }

    /// Whether [`Srtp::sources`] are others since somebody asked last, for whoever could go on elsewhere.
    pub(super) fn take_news(&mut self) -> bool {
        let inbound = self.inbound.as_mut().is_some_and(|both| both.1.sources.take_news());
        self.outbound.as_mut().is_some_and(|both| both.1.sources.take_news()) || inbound
    }

    /// How far all sources are.
    pub(super) fn sources(&self, rtcp_port: bool) -> impl Iterator<Item = SecureSource> + '_ {
        let inbound = self.inbound.iter().map(|both| (false, &both.1.sources));
        let outbound = self.outbound.iter().map(|both| (true, &both.1.sources));
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
            false => self.inbound.as_mut().map(|both| &mut both.1.sources),
            true => self.outbound.as_mut().map(|both| &mut both.1.sources),
        };
        let beyond = |index: u64| (index / INDEX_STEP + 2) * INDEX_STEP;
        let rtcp = if outbound { rtcp.map(beyond) } else { rtcp };
        // There is room: he had no more of them than we may have.
        let _ = sources.map(|sources| sources.resume(ssrc, rtp, rtcp));
    }

    /// A packet of the peer, taken apart where it is; its length then. `None` if it is not authentic.
    pub(super) fn take(&mut self, rtcp: bool, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (_, inbound) = &mut **self.inbound.as_mut()?;
        let taken = match rtcp {
            true => inbound.unprotect_rtcp(buffer, length),
            false => inbound.unprotect(buffer, length),
        };
        taken.ok()
    }

    /// A packet for the peer, protected where it is; its length then.
    pub(super) fn seal(&mut self, rtcp: bool, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (_, outbound) = &mut **self.outbound.as_mut()?;
        let sealed = match rtcp {
            true => outbound.protect_rtcp(buffer, length),
            false => outbound.protect(buffer, length),
        };
        sealed.ok()
    }
}
