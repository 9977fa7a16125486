//! 0xC4 and 0x1C4 from 0x20000 on: rules of DDI compliance, NDIS, WLAN, kernel streaming and audio
//! port class drivers, by number and name.
//!
//! Source: the references of 0xC4 and 0x1C4 in the Windows driver documentation. They differ in two
//! things: the number of SpinLockRelease (0x4000B and 0x4000A, both are here), and parameter 3 of the
//! rules of 0x20002 to 0x2001F, which 0xC4 calls an optional pointer to the rule's state and 0x1C4
//! reserved.

use super::NONE;
use crate::error::Error;
use crate::kernel::{Kernel, read_ansi_z};

/// Whether parameters 3 and 4 lead to a rule's state.
#[derive(Clone, Copy)]
enum State {
    /// Neither does.
    None,
    /// Parameter 3 of 0xC4 does, if it is not null.
    Optional,
    /// Both do.
    Both,
}

/// A rule.
pub(super) struct Rule {
    pub(super) id: u64,
    pub(super) name: &'static str,
    state: State,
}

impl Rule {
    pub(super) fn by_id(id: u64) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.id == id)
    }

    /// The names of parameters 2 to 4 in a bug check of `code`.
    pub(super) fn parameters(&self, code: u32) -> [&'static str; 3] {
        let [state, supplement] = match self.state {
            State::Both => ["rule state", "supplemental states"],
            State::Optional if code == 0xc4 => ["rule state, if not null", NONE],
            State::Optional | State::None => [NONE; 2],
        };
        ["address of the text of the violated condition", state, supplement]
    }
}

/// The condition that a driver violated, in the words of the rule: what parameter 2 of 0xC4 and 0x1C4
/// points to. `None` if the bug check is not about a rule.
///
/// # Errors
/// [`Error::Read`] if the text is not in memory, [`Error::Limit`] if it does not end.
pub fn violated_condition(kernel: &Kernel) -> Result<Option<String>, Error> {
    let rule = kernel.bug_check().filter(|bug_check| {
        matches!(bug_check.code, 0xc4 | 0x1c4) && Rule::by_id(bug_check.parameters[0]).is_some()
    });
    let Some(bug_check) = rule else { return Ok(None) };
    let [_, text, ..] = bug_check.parameters;
    let at = kernel.space().narrow(text);
    read_ansi_z(kernel.space(), at, kernel.limits(), "text of the violated condition").map(Some)
}

const fn with_state(id: u64, name: &'static str) -> Rule {
    Rule { id, name, state: State::Both }
}

const fn irql(id: u64, name: &'static str) -> Rule {
    Rule { id, name, state: State::Optional }
}

const fn rule(id: u64, name: &'static str) -> Rule {
    Rule { id, name, state: State::None }
}

pub(super) const RULES: &[Rule] = &[
    irql(0x20002, "IrqlApcLte"),
    irql(0x20003, "IrqlDispatch"),
    irql(0x20004, "IrqlExAllocatePool"),
    irql(0x20005, "IrqlExApcLte1"),
    irql(0x20006, "IrqlExApcLte2"),
    irql(0x20007, "IrqlExApcLte3"),
    irql(0x20008, "IrqlExPassive"),
    irql(0x20009, "IrqlIoApcLte"),
    irql(0x2000a, "IrqlIoPassive1"),
    irql(0x2000b, "IrqlIoPassive2"),
    irql(0x2000c, "IrqlIoPassive3"),
    irql(0x2000d, "IrqlIoPassive4"),
    irql(0x2000e, "IrqlIoPassive5"),
    irql(0x2000f, "IrqlKeApcLte1"),
    irql(0x20010, "IrqlKeApcLte2"),
    irql(0x20011, "IrqlKeDispatchLte"),
    irql(0x20015, "IrqlKeReleaseSpinLock"),
    irql(0x20016, "IrqlKeSetEvent"),
    irql(0x20019, "IrqlMmApcLte"),
    irql(0x2001a, "IrqlMmDispatch"),
    irql(0x2001b, "IrqlObPassive"),
    irql(0x2001c, "IrqlPsPassive"),
    with_state(0x2001d, "IrqlReturn"),
    irql(0x2001e, "IrqlRtlPassive"),
    irql(0x2001f, "IrqlZwPassive"),
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
