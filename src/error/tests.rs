use super::*;

#[test]
fn stronger_status_wins_and_has_its_code() {
    let order = [
        ExitStatus::Interrupted(Interrupt::Interrupt),
        ExitStatus::Usage,
        ExitStatus::Invalid,
        ExitStatus::Stale,
        ExitStatus::Partial,
        ExitStatus::Refused,
        ExitStatus::Failure,
        ExitStatus::Changes,
        ExitStatus::Success,
    ];
    for (index, status) in order.iter().enumerate() {
        for weaker in &order[index..] {
            assert_eq!(status.or(*weaker), *status);
            assert_eq!(weaker.or(*status), *status);
        }
    }
    let codes: Vec<u8> = order.iter().map(|status| status.code()).collect();
    assert_eq!(codes, [130, 64, 3, 5, 6, 4, 1, 2, 0]);
    assert_eq!(ExitStatus::Interrupted(Interrupt::Terminate).code(), 143);
    let (interrupt, terminate) =
        (ExitStatus::Interrupted(Interrupt::Interrupt), ExitStatus::Interrupted(Interrupt::Terminate));
    assert_eq!((interrupt.or(terminate), terminate.or(interrupt)), (interrupt, terminate), "the first signal counts");
}
