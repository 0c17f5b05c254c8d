//! `--guard-max-delete` and `--guard-max-change-percent`: they tighten `[guard]` of the file, and never loosen it.

use super::kit::{Kit, binding, key};
use super::rules::{applied, apply, live_role, refused};
use crate::model::desired::GuardLimits;

/// Twenty roles beside those of `applied`, three of which are no longer declared.
fn shrunk() -> Kit {
    let mut kit = applied();
    for index in 0..20 {
        kit.role(&format!("r{index}"), |role| role.bindings = vec![binding("east", &format!("s{index}"))]);
    }
    apply(&mut kit);
    for index in 0..3 {
        kit.desired.roles.remove(&key(&format!("r{index}")));
    }
    kit
}

#[test]
fn command_line_tightens_max_delete() {
    let mut kit = shrunk();
    kit.desired.guard.max_delete = 500;
    // three roles and three ServiceAccounts
    assert_eq!(kit.plan().summary().delete, 6);
    kit.desired.guard.at_most.max_delete = Some(5);
    refused(
        &kit.plan(),
        "orphan/default/role/r0",
        "the plan deletes 6 objects, but `--guard-max-delete` allows only 5",
    );
    kit.desired.guard.at_most.max_delete = Some(6);
    assert_eq!(kit.plan().refused, []);
    // the file has a lower limit
    kit.desired.guard.max_delete = 4;
    refused(&kit.plan(), "orphan/default/role/r0", "the plan deletes 6 objects, but `guard.max-delete` allows only 4");
    kit.options.force = true;
    assert_eq!(kit.plan().refused, []);
}

#[test]
fn command_line_tightens_max_change_percent_and_min_existing() {
    let mut kit = shrunk();
    kit.desired.guard.max_delete = 500;
    for index in 3..8 {
        live_role(&mut kit, &format!("r{index}")).role.description = "edited".into();
    }
    let percent = |kit: &mut Kit, file: u32, flag: u32| {
        kit.desired.guard.max_change_percent = file;
        kit.desired.guard.at_most = GuardLimits { max_delete: None, max_change_percent: Some(flag) };
        kit.plan()
    };
    assert_eq!(percent(&mut kit, 100, 50).refused, []);
    refused(&percent(&mut kit, 100, 10), "role/r3", "but `--guard-max-change-percent` allows only 10 percent");
    refused(&percent(&mut kit, 5, 10), "role/r3", "but `guard.max-change-percent` allows only 5 percent");
    // `min-existing` of the file does not switch off the limit of the command line
    kit.desired.guard.min_existing = usize::MAX;
    refused(&percent(&mut kit, 100, 10), "role/r3", "but `--guard-max-change-percent` allows only 10 percent");
    kit.desired.guard.at_most = GuardLimits::default();
    assert_eq!(kit.plan().refused, []);
}
