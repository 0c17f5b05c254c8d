//! Rules that need no world: sessions of a role, and the worst link of a chain.

use super::*;
use crate::ids::RoleArn;
use crate::model::evidence::is_session_of;

#[test]
fn session_belongs_to_the_role_of_its_account_and_name() {
    let role = RoleArn::parse("arn:aws:iam::111122223333:role/irsa/me/app").expect("an ARN");
    for (caller, expected) in [
        ("arn:aws:sts::111122223333:assumed-role/app/irsa-verify", true),
        ("arn:aws:sts::444455556666:assumed-role/app/irsa-verify", false),
        ("arn:aws:sts::111122223333:assumed-role/app2/irsa-verify", false),
        ("arn:aws-cn:sts::111122223333:assumed-role/app/irsa-verify", false),
        ("arn:aws:iam::111122223333:user/app", false),
        ("", false),
    ] {
        assert_eq!(is_session_of(caller, &role), expected, "{caller}");
    }
}

#[test]
fn broken_link_decides_over_an_unseen_one() {
    let mut statuses = [Status::Failed, Status::Ok, Status::Unknown, Status::NotApplicable];
    statuses.sort();
    assert_eq!(statuses, [Status::Ok, Status::NotApplicable, Status::Unknown, Status::Failed]);
}
