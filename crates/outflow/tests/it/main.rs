//! The program from outside: the real binary on real folders, SQLite files and a local HTTP endpoint.

mod bad_input;
mod commands;
mod guards;
mod map;
mod story;
mod support;
