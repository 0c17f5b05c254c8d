//! Tests the short form of a plan.

use super::*;
use crate::ids::Key;
use crate::plan::file::RefusedV2;

/// The short form, where the configuration calls the issuer of [`EAST`] `shop-eu` and one role's ARN `cart`.
pub(super) fn summary(plan: &PlanV2, width: Option<usize>) -> String {
    let names = ConfigKeys {
        clusters: [("oidc.eks.eu-west-1.amazonaws.com/id/EAST".to_owned(), Key::parse("shop-eu").unwrap())].into(),
        roles: [("arn:aws:iam::111122223333:role/irsa/me/cart".to_owned(), Key::parse("cart").unwrap())].into(),
        ..ConfigKeys::default()
    };
    let mut out = Vec::new();
    let style = Style::plain().with_width(width);
    terminal::plan(&PlanView::of(plan, Detail::Usual, &names), &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The block of the only change.
pub(super) fn block(change: ChangeV2) -> String {
    let text = summary(&plan(vec![change]), None);
    text.split("\n\n").next().unwrap_or_default().to_owned()
}

pub(super) fn of_role(action: &str, fields: Vec<FieldV2>) -> String {
    block(change("role/cart", action, &["declared at irsa.toml:24"], fields))
}

#[test]
fn a_new_role_shows_who_may_use_it_and_what_it_may_do() {
    let statement = allow("Send", &["sqs:SendMessage"], "arn:aws:sqs:eu-west-1:111122223333:orders");
    let fields = vec![
        field("name", Value::Null, json!("cart")),
        field("path", Value::Null, json!("/irsa/me/")),
        field("description", Value::Null, json!("the cart")),
        field("max-session-duration", Value::Null, json!(7200)),
        field(
            "attached",
            Value::Null,
            json!(["arn:aws:iam::aws:policy/service-role/X", "arn:aws:iam::111122223333:policy/irsa/me/read"]),
        ),
        field("inline.orders", Value::Null, document(&[statement])),
        field("trust", Value::Null, trust(EAST, &["system:serviceaccount:shop:cart"])),
        field("tags.irsa/owner", Value::Null, json!("me")),
        field("tags.team", Value::Null, json!("shop")),
    ];
    assert_eq!(
        of_role("create", fields),
        "\
+ role/cart  irsa.toml:24
    access     shop-eu shop/cart
    session    2h
    policies   aws:service-role/X
               read
    inline     orders: Allow sqs:SendMessage on arn:aws:sqs:eu-west-1:111122223333:orders
    tags       team = shop"
    );
}

#[test]
fn an_update_of_one_statement_has_at_most_six_lines() {
    let with = |actions: &[&str]| {
        document(&[allow("Send", actions, "arn:aws:sqs:::orders"), allow("Keys", &["kms:Decrypt"], "*")])
    };
    let fields =
        vec![field("inline.orders", with(&["sqs:SendMessage"]), with(&["sqs:SendMessage", "sqs:ReceiveMessage"]))];
    let text =
        summary(&plan(vec![change("role/cart", "update", &["differs, declared at irsa.toml:24"], fields)]), None);
    assert_eq!(
        text,
        "\
~ role/cart  irsa.toml:24
    actions    + gains sqs:ReceiveMessage on arn:aws:sqs:::orders
    inline     ~ orders: Allow sqs:SendMessage, sqs:ReceiveMessage on arn:aws:sqs:::orders
                 + Action sqs:ReceiveMessage

Plan: 0 to create, 1 to update, 0 to delete.
"
    );
}

#[test]
fn unusual_trust_is_shown_in_full() {
    let other = EAST.replace("EAST", "OTHER");
    let mut any_audience = web_identity(EAST, &["system:serviceaccount:shop:cart"]);
    any_audience["Condition"]["StringEquals"]
        .as_object_mut()
        .unwrap()
        .remove("oidc.eks.eu-west-1.amazonaws.com/id/EAST:aud");
    let mut pattern = web_identity(EAST, &["system:serviceaccount:shop:*"]);
    let equals = pattern["Condition"].as_object_mut().unwrap().remove("StringEquals").unwrap();
    let sub = "oidc.eks.eu-west-1.amazonaws.com/id/EAST:sub";
    pattern["Condition"] = json!({
        "StringLike": {sub: equals[sub]},
        "StringEquals": {"oidc.eks.eu-west-1.amazonaws.com/id/EAST:aud": "sts.amazonaws.com"},
    });
    let mut more = web_identity(EAST, &["system:serviceaccount:shop:more"]);
    more["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
    for (statement, text) in [
        (web_identity(EAST, &["system:serviceaccount:shop:cart"]), "shop-eu shop/cart"),
        (any_audience, "shop-eu shop/cart, for any audience"),
        (pattern, "every ServiceAccount like shop-eu shop/*"),
        // StringEquals has no wildcards
        (web_identity(EAST, &["system:serviceaccount:shop:*"]), "shop-eu shop/* (literally)"),
        (more, "shop-eu shop/more, by sts:AssumeRoleWithWebIdentity, sts:TagSession"),
        (web_identity(EAST, &["system:node:a"]), "system:node:a of cluster shop-eu"),
        (
            web_identity(&other, &["system:serviceaccount:shop:cart"]),
            "system:serviceaccount:shop:cart from issuer https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER",
        ),
        (json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}), "anyone at all"),
    ] {
        let told = of_role("create", vec![field("trust", Value::Null, document(&[statement]))]);
        assert_eq!(told, format!("+ role/cart  irsa.toml:24\n    access     {text}"));
    }
    let deny = json!({"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "sts:AssumeRole"});
    let told = of_role("update", vec![field("trust", document(std::slice::from_ref(&deny)), document(&[]))]);
    assert_eq!(told, "~ role/cart  irsa.toml:24\n    access     + is no longer denied: arn:aws:iam::1:root");
    let version = json!({"Version": "2008-10-17", "Statement": [deny]});
    let told = of_role("update", vec![field("trust", version, document(&[deny]))]);
    assert_eq!(told, "~ role/cart  irsa.toml:24\n    trust      ~ Version 2008-10-17 -> 2012-10-17");
    // through the provider of another account the cluster's pods get no access
    let foreign = EAST.replace("111122223333", "999999999999");
    let side = |provider: &str| document(&[web_identity(provider, &["system:serviceaccount:shop:cart"])]);
    assert_eq!(
        of_role("update", vec![field("trust", side(&foreign), side(EAST))]),
        "~ role/cart  irsa.toml:24\n    access     + shop-eu shop/cart\n               - shop-eu shop/cart, through the provider \
         of account 999999999999"
    );
    let either = |values: Value| {
        let mut statement = web_identity(EAST, &["system:serviceaccount:shop:cart"]);
        statement["Condition"]["StringEquals"]["aws:PrincipalTag/team"] = values;
        document(&[statement])
    };
    let told = of_role("update", vec![field("trust", either(json!("a or b")), either(json!(["a", "b"])))]);
    assert!(told.contains("= \"a or b\"") && told.contains("= a or b"), "{told}");
}

#[test]
fn created_service_account_is_one_line() {
    let fields = vec![
        field(
            "annotations.eks.amazonaws.com/role-arn",
            Value::Null,
            json!("arn:aws:iam::111122223333:role/irsa/me/cart"),
        ),
        field("annotations.irsa/created", Value::Null, json!("true")),
        field("labels.irsa/owner", Value::Null, json!("me")),
        field("name", Value::Null, json!("cart")),
    ];
    let told = block(change("service-account/shop-eu/shop/cart", "create", &["declared at irsa.toml:24"], fields));
    assert_eq!(told, "+ service-account/shop-eu/shop/cart -> role/cart  irsa.toml:24");
}

#[test]
fn every_change_has_a_line() {
    let marks = vec![field("tags.irsa/address", json!("role/old"), json!("role/cart"))];
    assert_eq!(of_role("update", marks), "~ role/cart  irsa.toml:24\n               only tags.irsa/address");
    let missing = vec![field("labels.irsa/owner", Value::Null, json!("me"))];
    assert_eq!(of_role("update", missing), "~ role/cart  irsa.toml:24\n               only labels.irsa/owner");
    assert_eq!(of_role("adopt", Vec::new()), "! role/cart  irsa.toml:24\n               as it is");
    let owner = vec![field("tags.irsa/owner", json!("other"), json!("me"))];
    assert_eq!(of_role("adopt", owner), "! role/cart  irsa.toml:24\n    owner      ~ other -> me");
    let guard = vec![field("tags.irsa/prevent-destroy", json!("true"), Value::Null)];
    assert_eq!(of_role("update", guard), "~ role/cart  irsa.toml:24\n    tags       - irsa/prevent-destroy = true");
    for (path, before, after) in [
        ("permissions-boundary", json!("arn:aws:iam::aws:policy/B"), Value::Null),
        ("description", json!("a"), json!("b")),
        ("max-session-duration", json!(3600), json!(7200)),
        ("inline.a", json!("{"), document(&[])),
        ("inline.a", Value::Null, document(&[])),
        ("document", json!({"Version": "2008-10-17", "Statement": []}), document(&[])),
        ("audiences", json!(["a"]), json!(["a", "b"])),
        ("attached", json!(["arn:aws:iam::aws:policy/A"]), json!([])),
        ("annotations.eks.amazonaws.com/audience", Value::Null, json!("other")),
        ("labels.team", json!("a"), json!("b")),
        ("something-new", json!(1), json!(2)),
    ] {
        let told = of_role("update", vec![field(path, before, after)]);
        assert!(told.lines().count() > 1 && !told.contains("only "), "{path}: {told}");
    }
}

#[test]
fn a_refused_change_says_what_it_would_do() {
    let fields = vec![field("attached", json!(["arn:aws:iam::aws:policy/A"]), Value::Null)];
    let mut plan = plan(vec![change("orphan/a/role/old", "delete", &["no longer declared"], fields)]);
    let (address, why) = ("orphan/a/role/old".into(), "too many".into());
    plan.refused = vec![RefusedV2 { address, why, hint: String::new(), word: None }];
    assert_eq!(
        summary(&plan, None).split("\n\n").next().unwrap(),
        "x orphan/a/role/old (would be deleted; refused)\n    no longer declared\n    policies   - aws:A"
    );
}

#[test]
fn role_and_origin_move_below_a_long_address() {
    let name = "a".repeat(60);
    let fields = vec![field(
        "annotations.eks.amazonaws.com/role-arn",
        Value::Null,
        json!("arn:aws:iam::111122223333:role/irsa/me/cart"),
    )];
    let address = format!("service-account/shop-eu/{name}/cart");
    let plan = plan(vec![change(&address, "create", &["declared at teams/shop.toml:124"], fields)]);
    let lines: Vec<String> = summary(&plan, Some(80)).lines().map(str::to_owned).collect();
    assert_eq!(lines[0], format!("+ {address}"));
    assert!(lines[1].starts_with("    -> role/cart  ") && lines[1].ends_with(" teams/shop.toml:124"), "{lines:?}");
    assert_eq!(lines[1].len(), 80);
}

#[test]
fn more_than_100_changes_begin_with_a_table_and_the_riskiest_changes() {
    let harmless = |index: usize| {
        change(&format!("service-account/shop-eu/shop/a{index:03}"), "create", &["declared at irsa.toml:1"], Vec::new())
    };
    let mut changes: Vec<ChangeV2> = (0..100).map(harmless).collect();
    let admin = vec![field("attached", json!([]), json!(["arn:aws:iam::aws:policy/AdministratorAccess"]))];
    changes.push(change("role/zoo", "update", &[], admin));
    let text = summary(&plan(changes), None);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "~      1  role",
            "+    100  service-account/shop-eu",
            "",
            "~ role/zoo",
            "    policies   + aws:AdministratorAccess",
            "",
        ]
    );
}

#[test]
fn lines_fit_the_terminal_unless_a_word_is_too_long() {
    for width in [80, 140] {
        for line in summary(&examples::everything(), Some(width)).lines() {
            let one_word = line.trim_start().split(' ').filter(|word| word.len() > 40).count() == 1;
            assert!(unicode_width::UnicodeWidthStr::width(line) <= width || one_word, "{width}: {line}");
        }
    }
}

#[test]
fn shared_reason_of_refusals_is_shown_once() {
    let mut plan = plan(Vec::new());
    let item = |address: &str, why: &str, word: &str| {
        let [address, why, hint] = [address, why, "do this"].map(str::to_owned);
        RefusedV2 { address, why, hint, word: Some(word.to_owned()) }
    };
    plan.refused = vec![
        item("role/a", "too many", "max-delete"),
        item("role/b", "too many", "max-delete"),
        item("role/c", "not ours", "no-owner"),
    ];
    let text = summary(&plan, None);
    let expected = "\
x role/a is refused
x role/b is refused
    too many (max-delete)
    hint: do this

x role/c is refused
    not ours (no-owner)
    hint: do this
";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn subject_that_a_wider_one_lets_in_gains_and_loses_nothing() {
    let like = |subjects: &[&str]| {
        let mut statement = web_identity(EAST, subjects);
        let mut equals = statement["Condition"]["StringEquals"].clone();
        let sub = "oidc.eks.eu-west-1.amazonaws.com/id/EAST:sub";
        let subjects = equals.as_object_mut().unwrap().remove(sub).unwrap();
        statement["Condition"] = json!({ "StringEquals": equals, "StringLike": { sub: subjects } });
        document(&[statement])
    };
    let exact = |names: &[&str]| document(&[web_identity(EAST, names)]);
    let told = |before, after| {
        let told = of_role("update", vec![field("trust", before, after)]);
        told.lines().skip(1).map(|line| line.trim().trim_start_matches("access").trim().to_owned()).collect::<Vec<_>>()
    };
    let (cart, other) = ("system:serviceaccount:shop:cart", "system:serviceaccount:pay:cart");
    let shop = "system:serviceaccount:shop:*";
    assert_eq!(
        told(like(&[shop]), exact(&[cart])),
        ["- every ServiceAccount like shop-eu shop/*, except shop-eu shop/cart"]
    );
    assert_eq!(
        told(exact(&[cart, other]), like(&[shop])),
        ["+ every ServiceAccount like shop-eu shop/*, except shop-eu shop/cart", "- shop-eu pay/cart"]
    );
    assert_eq!(
        told(like(&[shop]), like(&["system:serviceaccount:shop:c*"])),
        ["- every ServiceAccount like shop-eu shop/*, except every ServiceAccount like shop-eu shop/c*"]
    );
    // another audience is other access
    let mut for_other = web_identity(EAST, &[cart]);
    for_other["Condition"]["StringEquals"]["oidc.eks.eu-west-1.amazonaws.com/id/EAST:aud"] = json!("other");
    assert_eq!(
        told(like(&[shop]), document(&[for_other])),
        ["+ shop-eu shop/cart, for audience other", "- every ServiceAccount like shop-eu shop/*"]
    );
}
