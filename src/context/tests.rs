use super::*;

#[test]
fn identity_is_unique_and_has_no_special_characters() {
    let mut context = Context::of_process();
    let identity = context.identity();
    assert!(identity.contains(&format!("/{}/", std::process::id())), "{identity}");
    assert_ne!(context.identity(), identity, "each call has another random part");
    context.host = "a b\u{1b}[2J\n".into();
    assert!(context.identity().starts_with("ab2J/"), "{}", context.identity());
    context.host.clear();
    assert!(context.identity().starts_with("unknown/"));
}
