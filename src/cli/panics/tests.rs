use super::*;

#[test]
fn panic_is_caught_and_its_file_is_shortened() {
    assert_eq!(caught(|| 1), Some(1));
    assert_eq!(caught(|| -> i32 { std::panic::resume_unwind(Box::new("x")) }), None);
    assert_eq!(short_path("src/cli.rs"), "src/cli.rs");
    let file = "/home/me/.cargo/registry/src/index.crates.io-1/aws-types-1.0.0/src/endpoint.rs";
    assert_eq!(short_path(file), "aws-types-1.0.0/src/endpoint.rs");
}
