//! What an engine promises those who call it, told with a table and a tool of the simulation.

mod failed;
mod give_up;
mod groups;
mod held;
mod pages;
mod queue;
mod support;
