//! Tests of tables and spools.
