//! The statements of the service, for both databases.

use crate::rows::{WORK, count, kind_number, object_of, state_number, unsigned, work_of};
use crate::run_list;
use crate::sql::{Cell, Connection};
use pop_service::{
    Field, Kind, Ledger, LedgerError, Object, Query, QueueDepth, RunFilter, RunRow, RunState, Standing, Work,
    WorkState,
};
use std::fmt::Write as _;

/// The open transaction of a connection.
pub(crate) struct SqlLedger<'c>(pub(crate) &'c mut dyn Connection);

fn column(field: Field) -> &'static str {
    match field {
        Field::Title => "title",
        Field::LinkId => "link_id",
        Field::Cid => "cid",
        Field::CustomerId => "customer_id",
        Field::ResourcePoolId => "pool_id",
        Field::InsightId => "insight_id",
        Field::AgendaProgressId => "progress_id",
        Field::AgendaId => "agenda_id",
        Field::ProcessingState => "state",
    }
}

fn signed(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

impl SqlLedger<'_> {
    fn works(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<Work>, LedgerError> {
        Ok(self.0.query(sql, values)?.into_iter().filter_map(work_of).collect())
    }

    /// Rows of a text and a number.
    fn pairs(&mut self, sql: &str, values: &[Cell]) -> Result<Vec<(String, u64)>, LedgerError> {
        let pairs = self.0.query(sql, values)?.into_iter().filter_map(|row| {
            let mut row = row.into_iter();
            Some((row.next()?.text(), unsigned(row.next()?.int())))
        });
        Ok(pairs.collect())
    }
}

impl Ledger for SqlLedger<'_> {
    fn object(&mut self, kind: Kind, id: &str) -> Result<Option<Object>, LedgerError> {
        let sql = "select body from object where kind = $1 and id = $2";
        let rows = self.0.query(sql, &[kind_number(kind).into(), id.into()])?;
        rows.into_iter().flatten().next().map(object_of).transpose()
    }

    fn put(&mut self, kind: Kind, object: &Object) -> Result<(), LedgerError> {
        let body = serde_json::to_string(&object.0)
            .map_err(|error| LedgerError { message: error.to_string(), is_temporary: false })?;
        let mut values: Vec<Cell> =
            vec![kind_number(kind).into(), object.id().into(), signed(object.updated()).into(), body.into()];
        values.extend(Field::ALL.map(|field| object.field(field).into()));
        let sql = "insert into object (kind, id, updated, body, title, link_id, cid, customer_id, pool_id, insight_id, \
                   progress_id, agenda_id, state) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                   on conflict (kind, id) do update set updated = excluded.updated, body = excluded.body, \
                   title = excluded.title, link_id = excluded.link_id, cid = excluded.cid, \
                   customer_id = excluded.customer_id, pool_id = excluded.pool_id, insight_id = excluded.insight_id, \
                   progress_id = excluded.progress_id, agenda_id = excluded.agenda_id, state = excluded.state";
        self.0.execute(sql, &values).map(drop)
    }

    fn delete(&mut self, kind: Kind, id: &str) -> Result<bool, LedgerError> {
        let sql = "delete from object where kind = $1 and id = $2";
        Ok(self.0.execute(sql, &[kind_number(kind).into(), id.into()])? > 0)
    }

    fn find(&mut self, kind: Kind, query: &Query) -> Result<Vec<Object>, LedgerError> {
        let mut sql = "select body from object where kind = $1".to_owned();
        let mut values: Vec<Cell> = vec![kind_number(kind).into()];
        let mut add = |values: &mut Vec<Cell>, words: &str, value: Cell| {
            values.push(value);
            // writing to a text cannot fail
            write!(sql, " {words} ${}", values.len()).ok();
        };
        for (field, value) in &query.fields {
            add(&mut values, &format!("and {} =", column(*field)), value.as_str().into());
        }
        match query.limit {
            Some(limit) => add(&mut values, "order by place desc limit", i64::from(limit).into()),
            None => sql.push_str(" order by place"),
        }
        self.0.query(&sql, &values)?.into_iter().flatten().map(object_of).collect()
    }

    fn of_progress(&mut self, kind: Kind, progress: &str) -> Result<Vec<(String, u64)>, LedgerError> {
        let sql = "select id, updated from object where kind = $1 and progress_id = $2 order by place";
        self.pairs(sql, &[kind_number(kind).into(), progress.into()])
    }

    fn old(&mut self, kind: Kind, state: &str, before: u64, limit: u32) -> Result<Vec<String>, LedgerError> {
        let sql =
            "select id from object where kind = $1 and state = $2 and updated < $3 order by updated limit $4";
        let values = [kind_number(kind).into(), state.into(), signed(before).into(), i64::from(limit).into()];
        Ok(self.0.query(sql, &values)?.into_iter().flatten().map(Cell::text).collect())
    }

    fn work(&mut self, agenda: &str) -> Result<Option<Work>, LedgerError> {
        let lock = self.0.dialect().locked;
        let sql = format!("select {WORK} from work where agenda = $1{lock}");
        Ok(self.works(&sql, &[agenda.into()])?.pop())
    }

    fn put_work(&mut self, work: &Work) -> Result<(), LedgerError> {
        let state = state_number(RunState::of(work));
        let lease = match &work.state {
            WorkState::Leased(lease) => Some(lease),
            _ => None,
        };
        let values: [Cell; 18] = [
            work.agenda.as_str().into(),
            work.progress.as_str().into(),
            work.insight.as_str().into(),
            work.customer.as_str().into(),
            work.priority.into(),
            work.round.into(),
            work.sequence.into(),
            signed(work.queued).into(),
            state.into(),
            lease.map(|lease| lease.puller.as_str()).into(),
            lease.map(|lease| signed(lease.until)).into(),
            lease.map(|lease| signed(lease.length)).into(),
            lease.map(|lease| i64::from(lease.is_started)).into(),
            work.epoch.into(),
            work.generation.into(),
            i64::from(work.attempts).into(),
            i64::from(work.max_attempts).into(),
            i64::from(work.deliveries).into(),
        ];
        let sql = format!(
            "insert into work ({WORK}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18) on conflict (agenda) do update set insight = excluded.insight, customer = excluded.customer, \
             priority = excluded.priority, round = excluded.round, sequence = excluded.sequence, \
             queued = excluded.queued, state = excluded.state, puller = excluded.puller, until = excluded.until, \
             length = excluded.length, started = excluded.started, epoch = excluded.epoch, \
             generation = excluded.generation, attempts = excluded.attempts, max_attempts = excluded.max_attempts, \
             deliveries = excluded.deliveries"
        );
        self.0.execute(&sql, &values).map(drop)
    }

    fn delete_work(&mut self, agenda: &str) -> Result<(), LedgerError> {
        self.0.execute("delete from work where agenda = $1", &[agenda.into()]).map(drop)
    }

    fn standing(&mut self, insight: &str, customer: &str, priority: i64) -> Result<Standing, LedgerError> {
        // lookups in indices; as one select they would be a scan
        let sql = "select (select round from turn where insight = $1 and priority = $2 and customer = ''), \
                   (select max(round) from work where insight = $1 and priority = $2 and state = 1), \
                   (select round from turn where insight = $1 and priority = $2 and customer = $3 and customer <> '')";
        let row = self.0.query(sql, &[insight.into(), priority.into(), customer.into()])?.pop();
        let at = |index: usize| row.as_ref().and_then(|row| row.get(index)).and_then(Cell::maybe_int);
        Ok(Standing { current: at(0).unwrap_or_default(), last: at(1), of_customer: at(2) })
    }

    fn note_round(
        &mut self,
        insight: &str,
        priority: i64,
        customer: Option<&str>,
        round: i64,
    ) -> Result<(), LedgerError> {
        let sql = "insert into turn (insight, priority, customer, round) values ($1, $2, $3, $4) \
                   on conflict (insight, priority, customer) do update set round = excluded.round";
        let values = [insight.into(), priority.into(), customer.unwrap_or_default().into(), round.into()];
        self.0.execute(sql, &values).map(drop)
    }

    fn waiting(&mut self, insight: &str, limit: u32) -> Result<Vec<Work>, LedgerError> {
        let lock = self.0.dialect().unlocked_only;
        let sql = format!(
            "select {WORK} from work where insight = $1 and state = 1 \
             order by priority desc, round, sequence limit $2{lock}"
        );
        self.works(&sql, &[insight.into(), i64::from(limit).into()])
    }

    fn due(&mut self, now: u64, limit: u32) -> Result<Vec<Work>, LedgerError> {
        let lock = self.0.dialect().unlocked_only;
        let sql =
            format!("select {WORK} from work where state = 2 and until <= $1 order by until limit $2{lock}");
        self.works(&sql, &[signed(now).into(), i64::from(limit).into()])
    }

    fn next_due(&mut self) -> Result<Option<u64>, LedgerError> {
        let rows = self.0.query("select min(until) from work where state = 2", &[])?;
        Ok(rows.first().and_then(|row| row.first()).and_then(Cell::maybe_int).map(unsigned))
    }

    fn set_timer(&mut self, kind: Kind, id: &str, at: Option<u64>) -> Result<(), LedgerError> {
        let (kind, id) = (Cell::from(kind_number(kind)), Cell::from(id));
        let Some(at) = at else {
            return self.0.execute("delete from timer where kind = $1 and id = $2", &[kind, id]).map(drop);
        };
        let sql = "insert into timer (kind, id, at) values ($1, $2, $3) \
                   on conflict (kind, id) do update set at = excluded.at";
        self.0.execute(sql, &[kind, id, signed(at).into()]).map(drop)
    }

    fn due_timers(&mut self, kind: Kind, now: u64, limit: u32) -> Result<Vec<String>, LedgerError> {
        let lock = self.0.dialect().unlocked_only;
        let sql = format!("select id from timer where kind = $1 and at <= $2 order by at limit $3{lock}");
        let values = [kind_number(kind).into(), signed(now).into(), i64::from(limit).into()];
        Ok(self.0.query(&sql, &values)?.into_iter().flatten().map(Cell::text).collect())
    }

    fn next_timer(&mut self, kind: Kind) -> Result<Option<u64>, LedgerError> {
        let rows = self.0.query("select min(at) from timer where kind = $1", &[kind_number(kind).into()])?;
        Ok(rows.first().and_then(|row| row.first()).and_then(Cell::maybe_int).map(unsigned))
    }

    fn runs(&mut self, filter: &RunFilter) -> Result<Vec<RunRow>, LedgerError> {
        let (sql, values) = run_list::statement(filter);
        self.0.query(&sql, &values)?.into_iter().filter_map(run_list::row_of).collect()
    }

    fn depth(&mut self) -> Result<Vec<QueueDepth>, LedgerError> {
        let sql = "select insight, sum(case when state = 1 then 1 else 0 end), sum(case when state = 2 then 1 else 0 end) \
                   from work where state in (1, 2) group by insight order by insight";
        let rows = self.0.query(sql, &[])?;
        let depth = rows.into_iter().filter_map(|row| {
            let mut row = row.into_iter();
            Some(QueueDepth {
                insight: row.next()?.text(),
                waiting: count(row.next()?.int()),
                leased: count(row.next()?.int()),
            })
        });
        Ok(depth.collect())
    }

    fn states(&mut self, kind: Kind) -> Result<Vec<(String, u64)>, LedgerError> {
        let sql = "select state, count(*) from object where kind = $1 and state is not null group by state order by state";
        self.pairs(sql, &[kind_number(kind).into()])
    }
}
