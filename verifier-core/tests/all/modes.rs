//! Verifier's modes other than its level, on every build: rule classes, options, excluded drivers, random
//! faults.

use crate::common::open;
use verifier_core::verifier::{Modes, OptionFlags, RuleClasses, Settings};
use verifier_core::{Completeness, Extent, Va};
use verifier_synth::{Assembly, Build, Machine};

fn read(m: &Assembly) -> Modes {
    Modes::read(&open(m))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn configured(build: Build) -> Assembly {
    let mut m = Machine::new(build);
    m.level(0x9bf).excluded("good.sys").excluded("old.sys");
    if build.number() >= 9600 {
        m.xdv_excluded("rules.sys");
    }
    let mut m = m.assemble();
    for (global, value) in [
        ("VfVerifyMode", 3u32),
        ("VfOptionFlags", 0x1041),
        ("ViVerifyAllDrivers", 1),
        ("VfFaultInjectionProbability", 600),
        ("VfFaultInjectionMaxProbability", 10_000),
        ("VfFaultInjectionBootMinutes", 8),
    ] {
        m.patch(m.address(&format!("nt!{global}")), &value.to_le_bytes());
    }
    m.patch(m.address("nt!VerifierFaultTagsBuffer"), &utf16("Leak Tst*\0left over"));
    // Filled to its end, without a null.
    m.patch(m.address("nt!VerifierFaultApplicationsBuffer"), &utf16(&"a".repeat(0x80)));
    m
}

#[test]
fn every_build() {
    for build in Build::ALL {
        let mut m = configured(build);
        let has_classes = build.number() >= 17763;
        if has_classes {
            m.patch(m.address("nt!VfRuleClasses"), &0x10_0012_0012_09bbu64.to_le_bytes());
        }
        let modes = read(&m);
        assert_eq!(modes.problems, [], "{build:?}");
        let classes = has_classes.then_some(RuleClasses(0x10_0012_0012_09bb));
        assert_eq!(modes.rule_classes, classes, "{build:?}");
        assert_eq!(modes.verify_mode, Some(3));
        assert_eq!(modes.option_flags, Some(OptionFlags(0x1041)));
        assert_eq!(modes.verify_all_drivers, Some(1));
        assert_eq!(
            modes.excluded_drivers.as_deref(),
            Some(&["good.sys".into(), "old.sys".into()][..])
        );
        let second = (build.number() >= 9600).then(|| vec!["rules.sys".into()]);
        assert_eq!(modes.xdv_excluded_drivers, second);
        let faults = &modes.faults;
        assert_eq!((faults.probability, faults.max_probability), (Some(600), Some(10_000)));
        assert_eq!(faults.boot_minutes, Some(8));
        assert_eq!(faults.pool_tags.as_deref(), Some("Leak Tst*"));
        assert_eq!(faults.applications.as_deref(), Some(&*"a".repeat(0x80)));
    }
}

#[test]
fn off() {
    for build in [Build::Win7Sp1, Build::Win11, Build::Win10VbX86] {
        let modes = read(&Machine::new(build).assemble());
        assert_eq!(modes.problems, []);
        assert_eq!(modes.excluded_drivers.as_deref(), Some(&[][..]));
        assert!(modes.xdv_excluded_drivers.is_none_or(|names| names.is_empty()));
        assert_eq!(modes.option_flags, Some(OptionFlags(0)));
    }
}

#[test]
fn a_build_without_a_global_has_no_value_and_no_problem() {
    let modes = read(&configured(Build::Win81));
    assert_eq!((modes.rule_classes, modes.problems), (None, vec![]));
}

#[test]
fn pages_that_are_absent_are_one_remark() {
    let build = Build::Win10Vb;
    let mut m = Machine::new(build);
    let page = m.kernel_mut().data_rva() + 0x3000;
    m.level(0x8).kernel_symbol("VfOptionFlags", page + 0x10).kernel_symbol("VfVerifyMode", page);
    let mut m = m.assemble();
    m.remove_page(m.address("nt!VfOptionFlags"));
    let kernel = open(&m);
    let modes = Modes::read(&kernel);
    assert_eq!((modes.option_flags, modes.verify_mode), (None, None));
    assert_eq!(modes.verify_all_drivers, Some(0));
    let [problem] = &modes.problems[..] else { panic!("{modes:?}") };
    assert_eq!(problem.what, "VfVerifyMode, VfOptionFlags");
    assert!(problem.why.contains("is not in the dump"), "{problem}");
    assert!(Completeness::of(&modes.problems).is_complete());
    assert_eq!(Settings::read(&kernel).unwrap().level.0, 8);
}

#[test]
fn a_list_of_excluded_drivers_whose_head_is_absent_is_a_mode_without_a_value() {
    let build = Build::Win11;
    let mut m = Machine::new(build);
    let page = m.kernel_mut().data_rva() + 0x3000;
    m.level(0x8).excluded("good.sys").xdv_excluded("rules.sys");
    m.kernel_symbol("VfXdvExcludedDriversList", page);
    let mut m = m.assemble();
    m.remove_page(m.address("nt!VfXdvExcludedDriversList"));
    let modes = read(&m);
    assert_eq!(modes.excluded_drivers.as_deref(), Some(&["good.sys".into()][..]));
    assert_eq!(modes.xdv_excluded_drivers, None);
    let [remark] = &modes.problems[..] else { panic!("{modes:?}") };
    assert_eq!((&*remark.what, remark.leaves), ("VfXdvExcludedDriversList", Extent::Complete));
}

#[test]
fn a_head_with_one_null_link_is_not_an_empty_list() {
    let build = Build::Win10Rs5;
    let mut m = configured(build);
    let head = m.address("nt!VfExcludedDriversList");
    m.patch_pointer(head, 0);
    let modes = read(&m);
    let names = ["good.sys".into(), "old.sys".into()];
    assert_eq!(modes.excluded_drivers.as_deref(), Some(&names[..]), "by the other link");
    assert!(!Completeness::of(&modes.problems).is_complete(), "{modes:?}");
    // Both are null before the kernel sets the list up.
    m.patch(head, &[0; 0x10]);
    let modes = read(&m);
    assert_eq!((modes.excluded_drivers.as_deref(), modes.problems), (Some(&[][..]), vec![]));
}

#[test]
fn a_damaged_list_of_excluded_drivers() {
    let build = Build::Win7Sp1;
    let mut m = configured(build);
    let (first, second) = (m.address("excluded:good.sys"), m.address("excluded:old.sys"));
    // A ring without the head; an absent name.
    m.patch_pointer(second, first);
    m.patch_field(first, "_VI_EXCLUDED_DRIVER", "Name.Buffer", 0xffff_f6fb_0000_0000);
    let modes = read(&m);
    assert_eq!(modes.excluded_drivers.as_deref(), Some(&["old.sys".into()][..]));
    assert_eq!(modes.problems.len(), 2, "{modes:?}");
    assert_eq!(Completeness::of(&modes.problems).extent, Extent::AtLeast);
    assert!(modes.problems.iter().any(|problem| problem.address == Some(Va(second))));
}
