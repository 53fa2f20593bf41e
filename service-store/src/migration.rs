//! The schema, as a list of migrations. A database of a newer version is refused.

use crate::sql::{Cell, Connection};
use pop_service::LedgerError;

/// One migration for each version of the schema. A migration that was released is never changed.
const MIGRATIONS: &[&str] = &[
    // objects with the fields by which they are found; work; the round of each customer, and of the insight under the
    // empty name. Partial indices hold only rows that a request looks for
    "create table object (
        place {serial}, kind bigint not null, id text not null, updated bigint not null, body text not null,
        title text, link_id text, cid text, customer_id text, pool_id text, insight_id text, progress_id text,
        agenda_id text, state text, unique (kind, id));
     create index object_state on object (kind, state, updated) where state is not null;
     create index object_title on object (kind, title) where title is not null;
     create index object_link on object (kind, link_id) where link_id is not null;
     create index object_cid on object (kind, cid) where cid is not null;
     create index object_customer on object (kind, customer_id) where customer_id is not null;
     create index object_pool on object (kind, pool_id) where pool_id is not null;
     create index object_progress on object (progress_id) where progress_id is not null;
     create table work (
        agenda text primary key, progress text not null, insight text not null, customer text not null,
        priority bigint not null, round bigint not null, sequence bigint not null, queued bigint not null,
        state bigint not null, puller text, until bigint, length bigint, started bigint, epoch bigint not null,
        generation bigint not null, attempts bigint not null, max_attempts bigint not null, deliveries bigint not null);
     create index work_line on work (insight, priority desc, round, sequence) where state = 1;
     create index work_rounds on work (insight, priority, round) where state = 1;
     create index work_due on work (until) where state = 2;
     create table turn (
        insight text not null, priority bigint not null, customer text not null, round bigint not null,
        primary key (insight, priority, customer));
     create table timer (kind bigint not null, id text not null, at bigint not null, primary key (kind, id));
     create index timer_due on timer (kind, at);",
    // the outcome of work that has ended: 3 succeeded, 4 failed, 5 cancelled; lists of the newest objects of a kind
    "update work set state = 4 where state = 3 and not exists (
        select 1 from object where object.kind = 3 and object.id = work.progress
        and lower(object.body) like '%\"processingstatemessage\":\"succeeded\"%');
     create index object_newest on object (kind, place);
     create index work_customer on work (customer, state);",
];

/// Brings the schema to the newest version.
pub(crate) fn migrate(connection: &mut dyn Connection) -> Result<(), LedgerError> {
    let dialect = connection.dialect();
    connection.batch(dialect.begin)?;
    let migrated = migrate_in_transaction(connection);
    connection.batch(if migrated.is_ok() { "commit" } else { "rollback" })?;
    migrated
}

fn migrate_in_transaction(connection: &mut dyn Connection) -> Result<(), LedgerError> {
    let dialect = connection.dialect();
    if let Some(lock) = dialect.migration_lock {
        connection.batch(lock)?;
    }
    connection.batch("create table if not exists schema_version (version bigint not null)")?;
    let rows = connection.query("select max(version) from schema_version", &[])?;
    let version = rows.first().and_then(|row| row.first()).map_or(0, Cell::int);
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let newest = MIGRATIONS.len();
    if version > newest {
        let message = format!(
            "the database has schema {version}, and this version of pop knows {newest}; use a newer pop"
        );
        return Err(LedgerError { message, is_temporary: false });
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(version) {
        connection.batch(&migration.replace("{serial}", dialect.serial))?;
        connection.execute("insert into schema_version (version) values ($1)", &[version.into()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::SqliteConnection;

    #[test]
    fn ended_work_of_an_older_schema_gets_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = SqliteConnection::open(&folder.path().join("pop.db")).unwrap();
        let serial = connection.dialect().serial;
        connection.batch("create table schema_version (version bigint not null)").unwrap();
        connection.batch(&MIGRATIONS[0].replace("{serial}", serial)).unwrap();
        connection.execute("insert into schema_version (version) values ($1)", &[1.into()]).unwrap();
        for (id, state, message) in [("good", 3_i64, "Succeeded"), ("bad", 3, "failed"), ("runs", 2, "half")]
        {
            let body = format!("{{\"processingStateMessage\":\"{message}\"}}");
            let sql = "insert into object (kind, id, updated, body) values (3, $1, 0, $2)";
            connection.execute(sql, &[id.into(), body.into()]).unwrap();
            let sql = "insert into work (agenda, progress, insight, customer, priority, round, sequence, queued, state, epoch, \
                       generation, attempts, max_attempts, deliveries) values ($1, $1, 'i', 'c', 0, 0, 0, 0, $2, 0, 0, 0, 0, 0)";
            connection.execute(sql, &[id.into(), state.into()]).unwrap();
        }
        migrate(&mut connection).unwrap();
        // and again, which changes nothing
        migrate(&mut connection).unwrap();
        let rows = connection.query("select agenda, state from work order by agenda", &[]).unwrap();
        let states: Vec<(String, i64)> =
            rows.into_iter().map(|row| (row[0].clone().text(), row[1].int())).collect();
        let wanted = [("bad", 4), ("good", 3), ("runs", 2)].map(|(id, state)| (id.to_owned(), state));
        assert_eq!(states, wanted);
    }
}
