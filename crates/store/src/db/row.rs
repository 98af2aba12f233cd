//! Reading rows of either database.

use crate::basics::Labels;
use crate::error::{Result, StoreError};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Row, Type};
use uuid::Uuid;

/// A value that stands in a column of either database.
pub(crate) trait Cell:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Cell for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

/// A row, by its columns' names.
pub(crate) trait Columns {
    fn get<T: Cell>(&self, column: &str) -> Result<T>;
    fn at<T: Cell>(&self, index: usize) -> Result<T>;

    fn id(&self, column: &str) -> Result<Uuid> {
        self.get(column)
    }

    fn int(&self, column: &str) -> Result<i64> {
        self.get(column)
    }

    fn text(&self, column: &str) -> Result<String> {
        self.get(column)
    }

    fn json(&self, column: &str) -> Result<serde_json::Value> {
        self.get(column)
    }

    fn labels(&self, column: &str) -> Result<Labels> {
        serde_json::from_value(self.json(column)?).map_err(|why| StoreError::damaged(column, why))
    }

    /// A word that stands for one of several things.
    fn word<T>(&self, column: &str, of_name: impl Fn(&str) -> Option<T>) -> Result<T> {
        let word = self.text(column)?;
        of_name(&word).ok_or_else(|| StoreError::damaged(column, format!("{word:?}")))
    }
}

macro_rules! columns {
    ($row:ty) => {
        impl Columns for $row {
            fn get<T: Cell>(&self, column: &str) -> Result<T> {
                self.try_get(column)
                    .map_err(|why| StoreError::damaged(column, why))
            }

            fn at<T: Cell>(&self, index: usize) -> Result<T> {
                self.try_get(index)
                    .map_err(|why| StoreError::damaged(index, why))
            }
        }
    };
}
columns!(SqliteRow);
columns!(PgRow);

/// What is made of a row.
pub(crate) trait Record: Sized + Send {
    fn read(row: &impl Columns) -> Result<Self>;
}

/// A row's first column.
pub(crate) struct One<T>(pub T);

impl<T: Cell + Send> Record for One<T> {
    fn read(row: &impl Columns) -> Result<Self> {
        row.at(0).map(One)
    }
}
