//! The statement of lists of agendas.

use crate::rows::{WORK, kind_number, object_of, state_number, work_of};
use crate::sql::Cell;
use pop_service::{Kind, LedgerError, RunFilter, RunOrder, RunRow};

/// The statement of a list and its values.
pub(crate) fn statement(filter: &RunFilter) -> (String, Vec<Cell>) {
    let work = WORK.split(", ").map(|column| format!("w.{}", column.trim())).collect::<Vec<_>>().join(", ");
    // SQLite joins in this order: lists in the order of the queue begin with work, others with the newest progress
    let (tables, join) = match filter.order {
        RunOrder::Queue => ("work w cross join object o", "o.id = w.progress"),
        RunOrder::Newest | RunOrder::Before(_) => ("object o cross join work w", "w.agenda = o.agenda_id"),
    };
    let mut values: Vec<Cell> = Vec::new();
    let mut value = |value: Cell| {
        values.push(value);
        format!("${}", values.len())
    };
    let mut conditions = vec![format!("o.kind = {}", kind_number(Kind::AgendaProgress)), join.to_owned()];
    if !filter.states.is_empty() {
        let states: Vec<String> =
            filter.states.iter().map(|state| state_number(*state).to_string()).collect();
        conditions.push(match states.as_slice() {
            // so that indices of one state are used
            [one] => format!("w.state = {one}"),
            many => format!("w.state in ({})", many.join(", ")),
        });
    }
    if let Some(customer) = &filter.customer {
        conditions.push(format!("w.customer = {}", value(customer.as_str().into())));
    }
    if let Some(insight) = &filter.insight {
        conditions.push(format!("w.insight = {}", value(insight.as_str().into())));
    }
    if let Some(text) = &filter.text {
        let pattern = value(format!("%{}%", escaped(text)).into());
        let text = value(text.as_str().into());
        conditions.push(format!(
            "(lower(o.title) like lower({pattern}) escape '!' or w.agenda = {text} or o.link_id = {text} \
             or o.cid = {text} or w.progress = {text})"
        ));
    }
    if let RunOrder::Before(place) = filter.order {
        conditions.push(format!("o.place < {}", value(place.into())));
    }
    let order = match filter.order {
        RunOrder::Newest | RunOrder::Before(_) => "o.place desc",
        RunOrder::Queue => "w.insight, w.priority desc, w.round, w.sequence",
    };
    let limit = value(i64::from(filter.limit).into());
    let conditions = conditions.join(" and ");
    let sql = format!(
        "select o.place, o.body, {work} from {tables} where {conditions} order by {order} limit {limit}"
    );
    (sql, values)
}

/// A text that stands for itself in a pattern.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if matches!(c, '%' | '_' | '!') { vec!['!', c] } else { vec![c] }).collect()
}

/// A row of the list.
pub(crate) fn row_of(row: Vec<Cell>) -> Option<Result<RunRow, LedgerError>> {
    let mut row = row.into_iter();
    let (place, body) = (row.next()?.int(), row.next()?);
    let work = work_of(row)?;
    Some(object_of(body).map(|progress| RunRow { place, work, progress }))
}
