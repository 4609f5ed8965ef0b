//! The rate limit and the pace, under a paused clock.

use std::time::Duration;

use tokio::time::{Instant, advance};

use crate::pace::Load;
use crate::{Limiter, Limits, Pace};

fn limiter(rate: f64, burst: u32) -> Limiter {
    Limiter::new(&Limits { requests_per_second: Some(rate), burst, concurrency: 4 })
}

#[tokio::test(start_paused = true)]
async fn requests_come_at_their_rate_after_the_burst() {
    let limiter = limiter(10.0, 3);
    let begun = Instant::now();
    for _ in 0..3 {
        limiter.acquire().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for _ in 0..20 {
        limiter.acquire().await;
    }
    let took = begun.elapsed();
    assert!((2.0..2.1).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_keep_the_rate_together() {
    let limiter = limiter(5.0, 1);
    let begun = Instant::now();
    futures_util::future::join_all((0..11).map(|_| limiter.acquire())).await;
    let took = begun.elapsed().as_secs_f64();
    assert!((2.0..2.1).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn tokens_do_not_pile_up_beyond_the_burst() {
    let limiter = limiter(10.0, 2);
    limiter.acquire().await;
    advance(Duration::from_secs(60)).await;
    let begun = Instant::now();
    for _ in 0..3 {
        limiter.acquire().await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(99));
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_everyone_and_a_shorter_one_does_not_end_it() {
    let limiter = Limiter::new(&Limits::default());
    let begun = Instant::now();
    limiter.pause(Duration::from_secs(30));
    limiter.pause(Duration::from_secs(1));
    limiter.acquire().await;
    assert!(begun.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn the_pace_is_halved_by_trouble_and_grows_back_to_the_facts_limit() {
    let pace = Pace::new(8);
    assert_eq!(pace.limit(), 8);
    pace.enter().await.done(Load::TooMuch);
    assert_eq!(pace.limit(), 4);
    for _ in 0..100 {
        pace.enter().await.done(Load::Fine(Duration::from_millis(5)));
    }
    assert_eq!(pace.limit(), 8);
    for _ in 0..100 {
        pace.enter().await.done(Load::TooMuch);
    }
    assert_eq!(pace.limit(), 1, "never below one");
}

#[tokio::test(start_paused = true)]
async fn answers_asked_for_before_a_reduction_do_not_reduce_again() {
    let pace = Pace::new(8);
    let mut turns = Vec::new();
    for _ in 0..8 {
        turns.push(pace.enter().await);
    }
    for turn in turns {
        turn.done(Load::TooMuch);
    }
    assert_eq!(pace.limit(), 4, "eight answers of one round are one sign");
}

#[tokio::test(start_paused = true)]
async fn answers_that_take_much_longer_than_usual_slow_the_pace() {
    let pace = Pace::new(10);
    for _ in 0..20 {
        pace.enter().await.done(Load::Fine(Duration::from_millis(40)));
    }
    pace.enter().await.done(Load::Fine(Duration::from_millis(900)));
    assert!(pace.limit() < 10);
}
