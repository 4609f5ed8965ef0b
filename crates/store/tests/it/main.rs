//! The store from outside: several processes.

#[cfg(test)]
mod locks;
