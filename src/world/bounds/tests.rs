use super::*;

const BUDGET: Duration = Duration::from_secs(5);

/// Reads pages until one is refused. Returns the reason and the number of pages.
fn until_refused(mut page: impl FnMut(usize) -> (Duration, usize, usize, String)) -> (ListingError, usize) {
    let (start, mut listing) = (Instant::now(), Listing::new(BUDGET));
    for number in 1..=MAX_PAGES + 1 {
        let (after, items, bytes, next) = page(number);
        if let Err(endless) = listing.page(start + after, items, bytes, Some(&next)) {
            return (endless, number);
        }
    }
    panic!("it never ends");
}

#[test]
fn endless_lists_are_given_up() {
    let fresh = |number: usize| number.to_string();
    let none = Duration::ZERO;
    assert_eq!(until_refused(|number| (none, 0, 10, fresh(number))), (ListingError::Empty, MAX_EMPTY));
    assert_eq!(until_refused(|number| (none, 1, 10, fresh(number))), (ListingError::Pages, MAX_PAGES));
    assert_eq!(until_refused(|number| (none, 500, 10, fresh(number))), (ListingError::Items, 1_001));
    assert_eq!(until_refused(|number| (none, 1, MAX_BODY, fresh(number))), (ListingError::Bytes, 9));
    assert_eq!(until_refused(|_| (none, 1, 10, "a".into())), (ListingError::Circle, 2));
    assert_eq!(until_refused(|number| (none, 1, 10, fresh(number % 3))), (ListingError::Circle, 4));
    let slow = |number: usize| Duration::from_secs(u64::try_from(number).unwrap());
    assert_eq!(until_refused(|number| (slow(number), 1, 10, fresh(number))), (ListingError::Time(BUDGET), 6));
}

#[test]
fn late_last_page_and_scattered_empty_pages_are_accepted() {
    let (start, mut listing) = (Instant::now(), Listing::new(BUDGET));
    for number in 0..MAX_EMPTY * 3 {
        listing.page(start, usize::from(number % 50 == 0), 10, Some(&number.to_string())).unwrap();
    }
    assert_eq!(listing.page(start + BUDGET * 2, 0, 10, None), Ok(()));
    // a list that starts again may have the same page tokens
    listing.restart();
    assert_eq!(listing.page(start, 1, 10, Some("1")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn missing_page_is_awaited_until_the_budget_of_the_list_is_spent() {
    let mut listing = Listing::new(BUDGET);
    let hour = || tokio::time::sleep(Duration::from_hours(1));
    assert_eq!(listing.within(hour()).await, Ok(()), "the first page is limited by its call");
    listing.page(Instant::now(), 1, 10, Some("a")).unwrap();
    let begun = Instant::now();
    assert_eq!(listing.within(hour()).await, Err(ListingError::Time(BUDGET)));
    assert_eq!(begun.elapsed(), BUDGET);
}
