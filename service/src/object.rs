//! Objects that the service stores: JSON maps with POP's base fields. Fields that the service does not know are kept.

use pop_contract::Millis;
use serde_json::{Map, Value};

/// Kind of a stored object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A list of operations to run.
    Agenda,
    /// An agenda with tokens, from which agendas are made.
    AgendaTemplate,
    /// How far an agenda is.
    AgendaProgress,
    /// How far an operation is.
    OperationProgress,
    /// Insights that share executors.
    ResourcePool,
    /// A queue of agendas.
    Insight,
    /// Who submits agendas.
    Customer,
    /// The right to call the service. It has no URL.
    Token,
    /// When agendas are made from a template. Only the REST interface has it, and the next two.
    Schedule,
    /// Who hears that an agenda has ended.
    Webhook,
    /// A message to a webhook that has not arrived yet.
    Delivery,
    /// What an executor says about its run for people. It has no URL of its own, like the next one.
    RunReport,
    /// The end of the log of an operation.
    OperationLog,
}

impl Kind {
    /// The kinds that POP has.
    pub const ALL: [Self; 7] = [
        Self::Agenda,
        Self::AgendaTemplate,
        Self::AgendaProgress,
        Self::OperationProgress,
        Self::ResourcePool,
        Self::Insight,
        Self::Customer,
    ];

    /// Path of the kind in URLs of POP.
    pub fn path(self) -> &'static str {
        match self {
            Self::Agenda => "agenda",
            Self::AgendaTemplate => "agendatemplate",
            Self::AgendaProgress => "progress/agenda",
            Self::OperationProgress => "progress/operation",
            Self::ResourcePool => "resourcepool",
            Self::Insight => "insight",
            Self::Customer => "customer",
            Self::Token => "token",
            Self::Schedule => "schedule",
            Self::Webhook => "webhook",
            Self::Delivery => "delivery",
            Self::RunReport => "report",
            Self::OperationLog => "log",
        }
    }

    /// Name of the kind in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agenda => "agenda",
            Self::AgendaTemplate => "agenda template",
            Self::AgendaProgress => "agenda progress",
            Self::OperationProgress => "operation progress",
            Self::ResourcePool => "resource pool",
            Self::Insight => "insight",
            Self::Customer => "customer",
            Self::Token => "token",
            Self::Schedule => "schedule",
            Self::Webhook => "webhook",
            Self::Delivery => "delivery",
            Self::RunReport => "report",
            Self::OperationLog => "log",
        }
    }
}

/// A field by which objects are found, as a parameter `by…` of a query names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// `byTitle`
    Title,
    /// `byLinkId`
    LinkId,
    /// `byCid`
    Cid,
    /// `byCustomerId`
    CustomerId,
    /// `byResourcePoolId`
    ResourcePoolId,
    /// `byInsightId`
    InsightId,
    /// `byAgendaProgressId`
    AgendaProgressId,
    /// `byAgendaId`
    AgendaId,
    /// `byProcessingState`
    ProcessingState,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 9] = [
        Self::Title,
        Self::LinkId,
        Self::Cid,
        Self::CustomerId,
        Self::ResourcePoolId,
        Self::InsightId,
        Self::AgendaProgressId,
        Self::AgendaId,
        Self::ProcessingState,
    ];

    /// Name of the field in the JSON of an object.
    pub fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::LinkId => "linkId",
            Self::Cid => "cid",
            Self::CustomerId => "customerId",
            Self::ResourcePoolId => "resourcePoolId",
            Self::InsightId => "insightId",
            Self::AgendaProgressId => "agendaProgressId",
            Self::AgendaId => "agendaId",
            Self::ProcessingState => "processingState",
        }
    }
}

/// Which objects to find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Fields with their values; all must match.
    pub fields: Vec<(Field, String)>,
    /// Most objects, the newest first; none: all, the oldest first.
    pub limit: Option<u32>,
}

impl Query {
    /// Objects with this value of a field, the oldest first.
    pub fn by(field: Field, value: &str) -> Self {
        Self { fields: vec![(field, value.to_owned())], limit: None }
    }
}

/// A stored object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object(pub Map<String, Value>);

impl Object {
    /// The object of a JSON value, if that is a map.
    pub fn of(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }

    /// Id of the object; empty before the service has stored it.
    pub fn id(&self) -> &str {
        self.text("id").unwrap_or_default()
    }

    /// A field that is a text and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A field that is a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// A field that is a list.
    pub fn list(&self, name: &str) -> &[Value] {
        self.0.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The value of a key of `params`.
    pub fn param(&self, key: &str) -> Option<&Value> {
        self.0.get("params")?.get(key)
    }

    /// Sets a field.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The value of a field by which objects are found. The insight of an agenda stands in `agendaInsight`.
    pub fn field(&self, field: Field) -> Option<&str> {
        let inner = |name| self.0.get("agendaInsight")?.get(name)?.as_str();
        self.text(field.name()).or_else(|| match field {
            Field::InsightId | Field::ResourcePoolId => inner(field.name()),
            _ => None,
        })
    }

    /// Time of the last change.
    pub fn updated(&self) -> Millis {
        self.0.get("updatedTime").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Takes over all fields of `update` that are not null, except ids and times of the service.
    pub fn merge(&mut self, update: Self) {
        let is_own = |name: &str| ["id", "addedTime", "updatedTime"].contains(&name);
        let fields = update.0.into_iter();
        self.0.extend(fields.filter(|(name, value)| !value.is_null() && !is_own(name)));
    }

    /// Whether customers share the object with this one: it is theirs, global, or lists the customer.
    pub fn is_visible_to(&self, customer: &str) -> bool {
        self.0.get("isGlobal").and_then(Value::as_bool).unwrap_or_default()
            || self.text("customerId").is_some_and(|own| own.eq_ignore_ascii_case(customer))
            || self
                .list("allowedCustomerIds")
                .iter()
                .any(|id| id.as_str().is_some_and(|id| id.eq_ignore_ascii_case(customer)))
    }

    /// The object as a JSON value.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}
