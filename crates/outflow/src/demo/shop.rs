//! A small shop in a SQLite file: customers with names, cities and plans, and their orders. The same every time.

use std::path::Path;

use jiff::{ToSpan as _, civil};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::failure::Failure;

const FIRST_NAMES: [&str; 40] = [
    "Ada", "Amir", "Ana", "Anouk", "Arjun", "Beatrix", "Carlos", "Chiara", "Chloé", "Daniel", "Elif", "Emeka", "Emma",
    "Farah", "Finn", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Kofi", "Lea", "Liam", "Lucía", "Maja", "Marco",
    "Mei", "Mohamed", "Nora", "Olga", "Oskar", "Priya", "Rafael", "Sofia", "Tariq", "Thandi", "Valentin", "Yuki",
    "Zoë",
];
const LAST_NAMES: [&str; 40] = [
    "Abadi",
    "Andersen",
    "Bauer",
    "Bianchi",
    "Castillo",
    "Chen",
    "Costa",
    "Demir",
    "Dubois",
    "Eriksson",
    "Fischer",
    "Garcia",
    "Haddad",
    "Hoffmann",
    "Ivanova",
    "Jansen",
    "Kaya",
    "Keller",
    "Kowalski",
    "Laurent",
    "Lopez",
    "Meier",
    "Mensah",
    "Moreau",
    "Müller",
    "Nakamura",
    "Novak",
    "O’Brien",
    "Okafor",
    "Patel",
    "Petrov",
    "Rossi",
    "Santos",
    "Schmid",
    "Silva",
    "Sørensen",
    "Tanaka",
    "Vogel",
    "Walker",
    "Yilmaz",
];
const CITIES: [(&str, &str); 16] = [
    ("Amsterdam", "NL"),
    ("Athens", "GR"),
    ("Berlin", "DE"),
    ("Bern", "CH"),
    ("Dublin", "IE"),
    ("Ghent", "BE"),
    ("Kraków", "PL"),
    ("Lisbon", "PT"),
    ("Lyon", "FR"),
    ("Madrid", "ES"),
    ("Milan", "IT"),
    ("Oslo", "NO"),
    ("Prague", "CZ"),
    ("Tallinn", "EE"),
    ("Vienna", "AT"),
    ("Zürich", "CH"),
];
/// Plans, and how many of a hundred customers have each.
const PLANS: [(&str, u32); 4] = [("free", 58), ("basic", 24), ("pro", 15), ("business", 3)];
const PRODUCTS: [(&str, i64); 8] = [
    ("notebook", 690),
    ("fountain pen", 2_450),
    ("ink, blue", 1_120),
    ("desk lamp", 5_990),
    ("paper, 500 sheets", 840),
    ("pencil case", 1_575),
    ("wall calendar", 1_990),
    ("letter opener", 1_260),
];
const STATUSES: [&str; 3] = ["paid", "shipped", "delivered"];

const TABLES: &str = "
create table customers (
  id integer primary key,
  email text not null,
  first_name text not null,
  last_name text not null,
  city text not null,
  country text not null,
  plan text not null,
  signed_up_on date not null,
  newsletter boolean not null
);
create table orders (
  id integer primary key,
  customer_id integer not null references customers (id),
  product text not null,
  quantity integer not null,
  total_cents integer not null,
  status text not null,
  ordered_at timestamp not null
);
create index orders_by_customer on orders (customer_id);
";

/// What was changed between the demo's two syncs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) upgraded: u64,
    pub(crate) moved: u64,
    pub(crate) left: u64,
    pub(crate) joined: u64,
    /// A customer who was upgraded, to look at.
    pub(crate) example: i64,
}

/// Makes the shop with that many customers; each has none to six orders.
pub(crate) async fn create(path: &Path, customers: u32) -> Result<u64, Failure> {
    let mut random = StdRng::seed_from_u64(7);
    fill(path, customers, &mut random).await.map_err(|error| wrong(path, error))
}

/// A shop of a dozen customers in the shape of `init`'s example.
pub(crate) async fn create_example(path: &Path) -> Result<(), Failure> {
    let rows = [
        ("Ada Lovelace", "Ada@Example.com", Some("pro")),
        ("Alan Turing", "alan@example.com", Some("free")),
        ("Grace Hopper", "grace@example.com", Some("pro")),
        ("Katherine Johnson", "katherine@example.com", None),
        ("Edsger Dijkstra", "edsger@example.com", Some("basic")),
        ("Barbara Liskov", "Barbara@example.com", Some("pro")),
        ("Donald Knuth", "donald@example.com", Some("business")),
        ("Radia Perlman", "radia@example.com", Some("free")),
        ("Tony Hoare", "tony@example.com", None),
        ("Frances Allen", "frances@example.com", Some("basic")),
    ];
    let made = async {
        let mut database = open(path).await?;
        database
            .execute("create table customers (id integer primary key, email text, name text, plan text, created_at timestamp)")
            .await?;
        for (index, (name, email, plan)) in rows.into_iter().enumerate() {
            sqlx::query("insert into customers (email, name, plan, created_at) values (?, ?, ?, ?)")
                .bind(email)
                .bind(name)
                .bind(plan)
                .bind(format!("2026-01-{:02} 09:00:00", index + 1))
                .execute(&mut database)
                .await?;
        }
        database.close().await
    };
    made.await.map_err(|error| wrong(path, error))
}

fn wrong(path: &Path, error: sqlx::Error) -> Failure {
    Failure::new(format!("the example shop `{}` cannot be written", path.display())).because(error)
}

async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        // One file, easily thrown away; nothing is lost that the demo could not make again.
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Off);
    SqliteConnection::connect_with(&options).await
}

async fn fill(path: &Path, customers: u32, random: &mut StdRng) -> Result<u64, sqlx::Error> {
    let mut database = open(path).await?;
    let mut transaction = database.begin().await?;
    transaction.execute(TABLES).await?;
    let mut orders = 0;
    for id in 1..=i64::from(customers) {
        add_customer(&mut transaction, id, random).await?;
        for _ in 0..random.random_range(0..=6_u32).saturating_sub(2) {
            add_order(&mut transaction, id, random).await?;
            orders += 1;
        }
    }
    transaction.commit().await?;
    database.close().await?;
    Ok(orders)
}

async fn add_customer(database: &mut SqliteConnection, id: i64, random: &mut StdRng) -> Result<(), sqlx::Error> {
    let first = pick(&FIRST_NAMES, random);
    let last = pick(&LAST_NAMES, random);
    let (city, country) = pick(&CITIES, random);
    let email = format!("{}.{}{id}@example.com", plain(first), plain(last));
    let signed_up = civil::date(2023, 1, 1).saturating_add(i64::from(random.random_range(0..1_000_u32)).days());
    sqlx::query("insert into customers values (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(id)
        .bind(email)
        .bind(first)
        .bind(last)
        .bind(city)
        .bind(country)
        .bind(plan(random))
        .bind(signed_up.to_string())
        .bind(random.random_bool(0.4))
        .execute(database)
        .await?;
    Ok(())
}

async fn add_order(database: &mut SqliteConnection, customer: i64, random: &mut StdRng) -> Result<(), sqlx::Error> {
    let (product, cents) = pick(&PRODUCTS, random);
    let quantity = i64::from(random.random_range(1..=4_u32));
    let ordered = civil::date(2025, 11, 1)
        .at(8, 0, 0, 0)
        .saturating_add(i64::from(random.random_range(0..500_000_u32)).minutes());
    sqlx::query(
        "insert into orders (customer_id, product, quantity, total_cents, status, ordered_at) values (?, ?, ?, ?, ?, ?)",
    )
    .bind(customer)
    .bind(product)
    .bind(quantity)
    .bind(cents * quantity)
    .bind(pick(&STATUSES, random))
    .bind(ordered.strftime("%Y-%m-%d %H:%M:%S").to_string())
    .execute(database)
    .await?;
    Ok(())
}

/// A day in the life of the shop: upgrades, moves, people who leave and people who join.
pub(crate) async fn change(path: &Path) -> Result<Changes, Failure> {
    change_rows(path).await.map_err(|error| wrong(path, error))
}

async fn change_rows(path: &Path) -> Result<Changes, sqlx::Error> {
    let mut random = StdRng::seed_from_u64(8);
    let mut database = open(path).await?;
    let mut transaction = database.begin().await?;
    let mut changes = Changes::default();
    let ids = |sql: &'static str| sqlx::query_scalar::<_, i64>(sql);
    let free = ids("select id from customers where plan = 'free' order by id % 97, id limit 12");
    for id in free.fetch_all(&mut *transaction).await? {
        run(&mut transaction, format!("update customers set plan = 'pro' where id = {id}")).await?;
        changes.upgraded += 1;
        changes.example = id;
    }
    let moving = ids("select id from customers where plan = 'basic' order by id % 89, id limit 7");
    for id in moving.fetch_all(&mut *transaction).await? {
        let (city, country) = pick(&CITIES, &mut random);
        let sql =
            format!("update customers set city = '{city}', country = '{country}' where id = {id} and city <> '{city}'");
        changes.moved += run(&mut transaction, sql).await?;
    }
    let leaving = ids("select id from customers where plan = 'free' order by id % 83, id limit 5");
    for id in leaving.fetch_all(&mut *transaction).await? {
        run(&mut transaction, format!("delete from orders where customer_id = {id}")).await?;
        changes.left += run(&mut transaction, format!("delete from customers where id = {id}")).await?;
    }
    let last = ids("select max(id) from customers").fetch_one(&mut *transaction).await?;
    for id in last + 1..=last + 9 {
        add_customer(&mut transaction, id, &mut random).await?;
        add_order(&mut transaction, id, &mut random).await?;
        changes.joined += 1;
    }
    transaction.commit().await?;
    database.close().await?;
    Ok(changes)
}

async fn run(database: &mut SqliteConnection, sql: String) -> Result<u64, sqlx::Error> {
    // Made of numbers and of the constants above.
    Ok(sqlx::query(AssertSqlSafe(sql)).execute(database).await?.rows_affected())
}

fn pick<T: Copy>(from: &[T], random: &mut StdRng) -> T {
    from[random.random_range(0..from.len())]
}

fn plan(random: &mut StdRng) -> &'static str {
    let mut drawn = random.random_range(0..100_u32);
    for (plan, share) in PLANS {
        if drawn < share {
            return plan;
        }
        drawn -= share;
    }
    PLANS[0].0
}

/// A name as it stands in an e-mail address.
fn plain(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .map(|letter| match letter {
            'é' | 'ë' => 'e',
            'í' => 'i',
            'ø' => 'o',
            'ü' => 'u',
            letter => letter,
        })
        .filter(char::is_ascii_alphabetic)
        .collect()
}
