//! Destinations over real connections on loopback, and files in real folders.

mod cases;
mod file;
mod http;
