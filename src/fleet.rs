//! The simulation of a fleet: many replicas of this very code, each with its own router, loops, ledgers and connection, on
//! one real Redis or Valkey, while clients talk to any of them.
//!
//! Time is played. The runtime's clock stands still while requests are decided and the server answers, and is moved by a
//! few milliseconds after each round, so that a second of the fleet takes as long as the machine needs for its requests and
//! nothing in the code is scaled: turns, leases and exchanges wait as long as they do in service. Four clocks are the
//! machine's: those of the server (which forgets the account of a process that is silent for three seconds), of the
//! connection to it (its patience and its pauses), and the calendar of pins, quotas and budgets, in whole seconds.
//! Models are not asked: an answer takes 300 ms of the played time, and costs what its length says.

mod capacity;
mod outcome;
mod plan;
mod replica;
mod server;
mod simulation;
mod traffic;

use self::plan::FleetPlan;
use self::simulation::Simulation;

/// A fleet that is small enough to be played in a minute or two.
const SMALL: FleetPlan = FleetPlan {
    replicas: 20,
    rate: 4,
    step: 5,
    patience: 3,
    seconds: [4, 6, 3, 4, 4, 5, 3],
    largest_error: 0.1,
    budgets: &[
        (3.0, "requests", "refuse"),
        (0.6, "dollars", "refuse"),
        (0.5, "requests", "refuse"),
        (0.3, "requests", "local"),
    ],
};

/// A hundred replicas at 50,000 requests a second.
const LARGE: FleetPlan = FleetPlan {
    replicas: 100,
    rate: 50,
    step: 5,
    patience: 30,
    seconds: [4, 16, 5, 8, 9, 12, 6],
    largest_error: 0.03,
    budgets: &[
        (3.0, "requests", "refuse"),
        (3.0, "requests", "local"),
        (3.0, "dollars", "refuse"),
        (0.85, "requests", "refuse"),
        (0.65, "dollars", "refuse"),
        (0.15, "requests", "refuse"),
        (0.5, "requests", "refuse"),
        (0.3, "requests", "local"),
    ],
};

#[tokio::test(start_paused = true)]
#[ignore = "takes a minute or more: make fleet"]
async fn a_small_fleet_holds_its_target_its_budgets_and_its_pins_while_its_store_is_away_and_its_weights_change() {
    Simulation::new(SMALL).await.run().await;
}

#[tokio::test(start_paused = true)]
#[ignore = "takes minutes: make fleet"]
async fn a_hundred_replicas_at_50000_requests_a_second_hold_their_target_their_budgets_and_their_pins() {
    Simulation::new(LARGE).await.run().await;
}
