use super::*;

#[test]
fn description_names_the_way_and_its_reason() {
    let read = |pages, seconds| Bulk { pages, spent: Duration::from_secs_f64(seconds), ..Bulk::default() };
    let time = Duration::from_millis;
    for (reason, roles, expected) in [
        (FEW_ROLES.to_owned(), 1, "1 role one by one: there are few roles"),
        (
            read(1, 0.4).describe_in_bulk(time(5667)),
            100,
            "100 roles in bulk: 1 page of 0.4 s; one by one it would take 5.7 s",
        ),
        (
            read(5, 2.0).describe_in_bulk(time(65_700)),
            1000,
            "1000 roles in bulk: 5 pages, each of 0.4 s; one by one it would take 65.7 s",
        ),
        (
            read(1, 2.0).describe_pages_too_slow(time(1667), 4),
            40,
            "40 roles one by one in 1.7 s: in bulk it would take 4 more pages after 1 page of 2.0 s",
        ),
        (
            read(0, 0.0).describe_pages_too_slow(time(1667), 5),
            40,
            "40 roles one by one in 1.7 s: in bulk it would take 5 pages",
        ),
        (describe_page_too_slow(time(1667)), 40, "40 roles one by one in 1.7 s: a page in bulk takes longer"),
        ("one by one: no".to_owned(), 40, "40 roles one by one: no"),
        (NOT_LISTED.to_owned(), 40, "40 roles one by one: the account's roles could not be listed"),
    ] {
        assert_eq!(Bulk::default().because(reason).description(roles), expected);
    }
}
