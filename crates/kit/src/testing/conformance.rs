//! What every destination that speaks HTTP must do when things go wrong.
