//! 0xC4 and 0x1C4 from 0x20000 on: rules of DDI compliance, NDIS, WLAN, kernel streaming and audio
//! port class drivers, by number and name.
//!
//! Source: the references of 0xC4 and 0x1C4 in the Windows driver documentation, which agree but for
//! the number of SpinLockRelease (0x4000B and 0x4000A): both stand here.

use super::NONE;

/// A rule.
pub(super) struct Rule {
    pub(super) id: u64,
    pub(super) name: &'static str,
    /// Whether parameters 3 and 4 lead to its state.
    has_state: bool,
}

impl Rule {
    /// The names of parameters 2 to 4.
    pub(super) fn parameters(&self) -> [&'static str; 3] {
        let [state, supplement] =
            if self.has_state { ["rule state", "supplemental states"] } else { [NONE; 2] };
        ["address of the text of the violated condition", state, supplement]
    }
}

const fn with_state(id: u64, name: &'static str) -> Rule {
    Rule { id, name, has_state: true }
}

const fn rule(id: u64, name: &'static str) -> Rule {
    Rule { id, name, has_state: false }
}

pub(super) const RULES: &[Rule] = &[
    rule(0x20002, "IrqlApcLte"),
    rule(0x20003, "IrqlDispatch"),
    rule(0x20004, "IrqlExAllocatePool"),
    rule(0x20005, "IrqlExApcLte1"),
    rule(0x20006, "IrqlExApcLte2"),
    rule(0x20007, "IrqlExApcLte3"),
    rule(0x20008, "IrqlExPassive"),
    rule(0x20009, "IrqlIoApcLte"),
    rule(0x2000a, "IrqlIoPassive1"),
    rule(0x2000b, "IrqlIoPassive2"),
    rule(0x2000c, "IrqlIoPassive3"),
    rule(0x2000d, "IrqlIoPassive4"),
    rule(0x2000e, "IrqlIoPassive5"),
    rule(0x2000f, "IrqlKeApcLte1"),
    rule(0x20010, "IrqlKeApcLte2"),
    rule(0x20011, "IrqlKeDispatchLte"),
    rule(0x20015, "IrqlKeReleaseSpinLock"),
    rule(0x20016, "IrqlKeSetEvent"),
    rule(0x20019, "IrqlMmApcLte"),
    rule(0x2001a, "IrqlMmDispatch"),
    rule(0x2001b, "IrqlObPassive"),
    rule(0x2001c, "IrqlPsPassive"),
    with_state(0x2001d, "IrqlReturn"),
    rule(0x2001e, "IrqlRtlPassive"),
    rule(0x2001f, "IrqlZwPassive"),
    rule(0x20022, "IrqlIoDispatch"),
    with_state(0x40003, "CriticalRegions"),
    with_state(0x40006, "QueuedSpinLock"),
    with_state(0x40007, "QueuedSpinLockRelease"),
    with_state(0x40009, "SpinLock"),
    with_state(0x4000a, "SpinLockRelease"),
    with_state(0x4000b, "SpinLockRelease"),
    with_state(0x4000e, "GuardedRegions"),
    rule(0x4100b, "RequestedPowerIrp"),
    with_state(0x4100f, "IoSetCompletionExCompleteIrp"),
    rule(0x43006, "PnpRemove"),
    rule(0x71001, "PcIrqlDDIs"),
    rule(0x71003, "PcIrqlIport"),
    with_state(0x71004, "PcUnmapAllocatedPages"),
    with_state(0x71005, "PcAllocatedPages"),
    with_state(0x71006, "PcRegisterAdapterPower"),
    rule(0x71007, "PcAddAdapterDevice"),
    rule(0x71008, "PcPropertyRequest"),
    rule(0x71009, "PcAllocateAndMapPages"),
    rule(0x7100a, "PcPoRequestPowerIrp"),
    with_state(0x72001, "PcTimedWaveRtStreamSetState"),
    with_state(0x81001, "KsDeviceMutex"),
    with_state(0x81002, "KsStreamPointerClone"),
    rule(0x81003, "KsStreamPointerLock"),
    with_state(0x81004, "KsStreamPointerUnlock"),
    rule(0x81005, "KsCallbackReturn"),
    with_state(0x81006, "KsIrqlDeviceCallbacks"),
    with_state(0x81007, "KsIrqlFilterCallbacks"),
    with_state(0x81008, "KsIrqlPinCallbacks"),
    rule(0x81009, "KsIrqlDDIs"),
    with_state(0x8100a, "KsFilterMutex"),
    with_state(0x8100b, "KsProcessingMutex"),
    with_state(0x82001, "KsTimedPinSetDeviceState"),
    with_state(0x82002, "KsTimedDeviceCallbacks"),
    with_state(0x82003, "KsTimedFilterCallbacks"),
    with_state(0x82004, "KsTimedPinCallbacks"),
    with_state(0x82005, "KsTimedProcessingMutex"),
    with_state(0x91001, "NdisOidComplete"),
    with_state(0x91002, "NdisOidDoubleComplete"),
    with_state(0x9100e, "NdisOidDoubleRequest"),
    with_state(0x92003, "NdisTimedOidComplete"),
    with_state(0x9200d, "NdisTimedDataSend"),
    with_state(0x9200f, "NdisTimedDataHang"),
    with_state(0x92010, "NdisFilterTimedPauseComplete"),
    with_state(0x92011, "NdisFilterTimedDataSend"),
    with_state(0x92012, "NdisFilterTimedDataReceive"),
    with_state(0x93004, "WlanAssociation"),
    with_state(0x93005, "WlanConnectionRoaming"),
    with_state(0x93006, "WlanDisassociation"),
    rule(0x93101, "WlanAssert"),
    with_state(0x94007, "WlanTimedAssociation"),
    with_state(0x94008, "WlanTimedConnectionRoaming"),
    with_state(0x94009, "WlanTimedConnectRequest"),
    with_state(0x9400b, "WlanTimedLinkQuality"),
    with_state(0x9400c, "WlanTimedScan"),
];
