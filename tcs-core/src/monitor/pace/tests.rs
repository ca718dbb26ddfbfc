use super::*;
use crate::clock;

#[test]
fn twenty_at_once_then_ten_a_second_and_nothing_is_uncounted() {
    let start = clock::monotonic();
    let mut pace = Pace::default();
    let (mut sent, mut stands_for) = (0, 0);
    // 10,000 changes within one second
    for i in 0..10_000_u32 {
        let now = start + Duration::from_micros(100) * i;
        if let Some(n) = pace.change(now) {
            sent += 1;
            stands_for += n;
        }
    }
    assert!((29..=30).contains(&sent), "{sent}");
    let due = pace.due().expect("the last change is held");
    assert!(due > start + Duration::from_millis(900) && due < start + Duration::from_secs(2));
    assert_eq!(pace.take(start), None);
    stands_for += pace.take(due).expect("its turn has come");
    assert_eq!(stands_for, 10_000);
    assert_eq!((pace.due(), pace.flush()), (None, None));
}

#[test]
fn a_rest_fills_the_bucket_again_but_no_more_than_that() {
    let start = clock::monotonic();
    let mut pace = Pace::default();
    let burst = |pace: &mut Pace, now| (0..100).filter(|_| pace.change(now).is_some()).count();
    assert_eq!(burst(&mut pace, start), 20);
    assert_eq!(pace.flush(), Some(80));
    assert_eq!(burst(&mut pace, start + Duration::from_hours(1)), 20);
}
