//! A service's database as it was earlier: copied while the service stands still, put in place of the one
//! that went on, and back.

use anyhow::Result;

use crate::processes::Stack;

/// A copy that was set aside, or the original while the copy is in its place.
#[derive(Clone, Debug)]
pub struct Aside {
    service: &'static str,
    name: String,
}

impl Aside {
    /// Copies the database of a service. Nothing may be connected to it.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn copy(stack: &Stack, service: &'static str) -> Result<Self> {
        let database = stack.database(service);
        let name = format!("{database}_aside");
        stack.administer(&[format!("CREATE DATABASE {name} TEMPLATE {database}")]).await?;
        Ok(Self { service, name })
    }

    /// Exchanges it with the database that the service uses. Nothing may be connected to either.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn swap(&self, stack: &Stack) -> Result<()> {
        let (here, aside) = (stack.database(self.service), &self.name);
        let between = format!("{here}_between");
        stack.disconnect(&[&here, aside]).await?;
        stack
            .administer(&[
                format!("ALTER DATABASE {here} RENAME TO {between}"),
                format!("ALTER DATABASE {aside} RENAME TO {here}"),
                format!("ALTER DATABASE {between} RENAME TO {aside}"),
            ])
            .await
    }

    /// The owner's address of what is aside.
    #[must_use]
    pub fn url(&self, stack: &Stack) -> String {
        stack.url_of(&self.name)
    }

    /// Drops what is aside.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn remove(self, stack: &Stack) -> Result<()> {
        stack.administer(&[format!("DROP DATABASE {} WITH (FORCE)", self.name)]).await
    }
}
