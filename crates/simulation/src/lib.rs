//! Whole syncs under seeded faults: a fake warehouse, a fake destination that keeps its own truth, a fake clock.
//! One seed is one story; the same seed tells the same story again.

mod clock;
mod connectors;
mod destination;
mod faults;
mod properties;
mod scenario;
mod scene;
mod source;
mod warehouse;

pub use clock::{Dice, FakeClock};
pub use connectors::SceneConnectors;
pub use scenario::{Failure, Summary, run};
pub use scene::{Gate, Scene, Table, Tool};
