//! The table that is synced: twelve columns of mixed types, and what it is compared with.

use std::process::Stdio;

use postgres_server::PostgresServer;

pub(crate) fn create(server: &PostgresServer, table: &str, rows: u64) {
    server.sql(&format!(
        "create table {table} as select
           n as id,
           'person' || n || '@example.com' as email,
           'Person Number ' || n as name,
           (array['free','pro','team','enterprise'])[1 + n % 4] as plan,
           case when n % 10 = 0 then null else 'city ' || n % 5000 end as city,
           (n % 1000) / 8.0::float8 as score,
           ((n * 7919) % 1000000)::numeric(12,2) / 100 as amount,
           n % 3 = 0 as active,
           timestamptz '2024-01-01 00:00:00Z' + n * interval '1 second' as created_at,
           date '2020-01-01' + (n % 1500)::int as birthday,
           (n % 100000)::int as visits,
           jsonb_build_object('source', 'web', 'n', n % 50) as attributes
         from generate_series(1, {rows}::bigint) n;
         alter table {table} add primary key (id);"
    ));
    settle(server, table);
}

/// What a comparison in SQL needs from the time before.
pub(crate) fn snapshot(server: &PostgresServer, table: &str) {
    server.sql(&format!(
        "create table {table}_snapshot as select id, md5(t::text) as sum from {table} t;
         alter table {table}_snapshot add primary key (id);"
    ));
    settle(server, &format!("{table}_snapshot"));
}

/// Leaves the database nothing to do behind a measurement's back.
fn settle(server: &PostgresServer, table: &str) {
    server.sql(&format!("vacuum (freeze, analyze) {table}"));
    server.sql("checkpoint");
}

/// The same comparison as the database would make it: a sum of each row, a full join, the changed rows only.
pub(crate) fn compare_in_sql(server: &PostgresServer, table: &str) {
    server.sql(&format!(
        "with now as (select id, md5(t::text) as sum from {table} t)
         select coalesce(now.id, before.id) from now full join {table}_snapshot before using (id)
         where now.sum is distinct from before.sum;"
    ));
}

/// What reading alone costs: psql copies the same query, and nobody looks at it.
pub(crate) fn copy_to_nowhere(server: &PostgresServer, table: &str, format: &str) {
    let status = server
        .psql()
        .arg("--command")
        .arg(format!("copy (select * from {table}) to stdout with (format {format})"))
        .stdout(Stdio::null())
        .status()
        .expect("psql runs");
    assert!(status.success(), "psql copies");
}

pub(crate) fn change_one_in_a_hundred(server: &PostgresServer, table: &str, round: usize) -> u64 {
    server.sql(&format!("update {table} set visits = visits + 1 where id % 100 = {round}"));
    settle(server, table);
    number(&server.sql(&format!("select count(*) from {table} where id % 100 = {round}")))
}

pub(crate) fn count(server: &PostgresServer, table: &str) -> u64 {
    number(&server.sql(&format!("select count(*) from {table}")))
}

fn number(text: &str) -> u64 {
    text.trim().parse().expect("a number")
}
