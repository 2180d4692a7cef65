//! Charging-Information, TS 29.229 §6.3.19.

use super::*;

/// The names of the charging functions, as DiameterURIs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChargingInformation {
    /// Primary-Event-Charging-Function-Name: the OCS.
    pub primary_ecf: Option<String>,
    /// Secondary-Event-Charging-Function-Name.
    pub secondary_ecf: Option<String>,
    /// Primary-Charging-Collection-Function-Name: the CDF.
    pub primary_ccf: Option<String>,
    /// Secondary-Charging-Collection-Function-Name.
    pub secondary_ccf: Option<String>,
}

impl ChargingInformation {
    pub(super) fn parse(avps: Avps<'_>) -> Result<Option<ChargingInformation>, Fault> {
        let Some(avp) = avps.find(CHARGING_INFORMATION) else {
            return Ok(None);
        };
        let group = avp.group()?;
        Ok(Some(ChargingInformation {
            primary_ecf: text(group.clone(), PRIMARY_EVENT_CHARGING_FUNCTION_NAME)?,
            secondary_ecf: text(group.clone(), SECONDARY_EVENT_CHARGING_FUNCTION_NAME)?,
            primary_ccf: text(group.clone(), PRIMARY_CHARGING_COLLECTION_FUNCTION_NAME)?,
            secondary_ccf: text(group, SECONDARY_CHARGING_COLLECTION_FUNCTION_NAME)?,
        }))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.group(CHARGING_INFORMATION, |group| {
            write_text(group, PRIMARY_EVENT_CHARGING_FUNCTION_NAME, &self.primary_ecf);
            write_text(group, SECONDARY_EVENT_CHARGING_FUNCTION_NAME, &self.secondary_ecf);
            write_text(group, PRIMARY_CHARGING_COLLECTION_FUNCTION_NAME, &self.primary_ccf);
            write_text(group, SECONDARY_CHARGING_COLLECTION_FUNCTION_NAME, &self.secondary_ccf);
        });
    }
}
