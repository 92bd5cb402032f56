//! Many rows in few statements: each goes to the connection's thread and back.
//!
//! The text of a statement depends on the number of its rows; few fixed numbers keep few prepared
//! statements.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, Sqlite, Type,
    sqlite::{SqliteArguments, SqliteConnection},
};
use std::sync::Arc;

/// Rows in one statement, largest first.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// A table to insert into.
pub(super) struct Into {
    /// `INSERT INTO t (a, b)`.
    pub(super) head: &'static str,
    pub(super) columns: usize,
    /// Whatever follows the values.
    pub(super) tail: &'static str,
}

/// The values of one row.
pub(super) struct Values<'a> {
    arguments: &'a mut SqliteArguments,
    error: &'a mut Option<sqlx::Error>,
}

impl Values<'_> {
    pub(super) fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            *self.error = Some(sqlx::Error::Encode(error));
        }
        self
    }
}

/// Inserts all items.
pub(super) async fn insert<T>(
    connection: &mut SqliteConnection,
    into: &Into,
    items: &[T],
    bind: impl Fn(&T, usize, &mut Values<'_>),
) -> Result<(), sqlx::Error> {
    let mut at = 0;
    for rows in CHUNKS {
        while items.len() - at >= rows {
            let arguments = arguments(&items[at..at + rows], at, into.columns, &bind)?;
            let sql = AssertSqlSafe(text(into, rows));
            sqlx::query_with(sql, arguments).execute(&mut *connection).await?;
            at += rows;
        }
    }
    Ok(())
}

fn arguments<T>(
    items: &[T],
    first: usize,
    columns: usize,
    bind: &impl Fn(&T, usize, &mut Values<'_>),
) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(items.len() * columns, 0);
    let mut error = None;
    for (item, n) in items.iter().zip(first..) {
        bind(item, n, &mut Values { arguments: &mut arguments, error: &mut error });
    }
    debug_assert_eq!(arguments.len(), items.len() * columns);
    error.map_or(Ok(arguments), Err)
}

/// The statement for a number of rows; made once. Holds no data, only placeholders.
fn text(into: &Into, rows: usize) -> Arc<str> {
    type Texts = HashMap<(&'static str, usize), Arc<str>>;
    static TEXTS: LazyLock<Mutex<Texts>> = LazyLock::new(Mutex::default);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let text = texts.entry((into.head, rows)).or_insert_with(|| {
        let row = format!("({})", vec!["?"; into.columns].join(","));
        format!("{} VALUES {} {}", into.head, vec![row; rows].join(","), into.tail).into()
    });
    text.clone()
}
