//! Calls of the service, as requests ask for them, and the scope that each needs.

use crate::page_call::PageCall;
use crate::scope::Scope;
use pop_service::{Kind, Loss, Object, PullRequest, Query, RerunWords};
use serde_json::Value;
use std::time::Duration;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    /// Objects that match a query.
    Find(Kind, Query, View),
    /// One object.
    Read(Kind, String),
    /// A new object; the text has the places of faults.
    Create(Kind, Object, String),
    /// An update of an object.
    Update(Kind, String, Object),
    /// The end of an object.
    Delete(Kind, String),
    /// New agendas.
    CreateAgendas(Vec<Object>),
    /// An agenda from a template.
    RunTemplate { template: String, payload: Value },
    /// Another run of an agenda.
    Rerun { agenda: String, words: RerunWords },
    /// More operations of an agenda.
    Extend { agenda: String, operations: Vec<Value> },
    /// Agendas to run, waiting so long for the first.
    Pull(PullRequest, Duration),
    /// Progress of an agenda.
    Report(Object),
    /// Renewal of a lease.
    Renew(String),
    /// The end of a lease.
    GiveBack(String, Loss),
    /// Progress of all agendas with a link.
    Summary(String),
    /// Faults of an agenda, without storing it.
    Check(String),
    /// State of the service and its queues.
    Status,
    /// Whether the service and its store work.
    Health,
    /// The description of the REST interface.
    OpenApi,
    /// Deletes old agendas.
    Reap { age: Duration, limit: u32, is_dry: bool },
    /// A new token.
    IssueToken { name: String, scopes: Vec<Scope> },
    /// The tokens, without their secrets.
    Tokens,
    /// The end of a token.
    RevokeToken(String),
    /// What the web pages need.
    Page(PageCall),
}

/// How found objects are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Only these fields; all if empty.
    pub(crate) fields: Vec<String>,
    /// Whether only their number is wanted.
    pub(crate) is_count: bool,
}

impl Call {
    /// The scope that the call needs; none if everybody may call.
    pub(crate) fn scope(&self) -> Option<Scope> {
        Some(match self {
            Self::Health | Self::OpenApi => return None,
            Self::Page(call) => return call.scope(),
            Self::Find(Kind::Webhook | Kind::Delivery, ..)
            | Self::Read(Kind::Webhook | Kind::Delivery, _) => Scope::Admin,
            Self::Find(..) | Self::Read(..) | Self::Summary(_) | Self::Status => Scope::Read,
            Self::Create(Kind::Agenda, ..)
            | Self::CreateAgendas(_)
            | Self::RunTemplate { .. }
            | Self::Rerun { .. }
            | Self::Check(_) => Scope::Submit,
            Self::Extend { .. }
            | Self::Pull(..)
            | Self::Report(_)
            | Self::Renew(_)
            | Self::GiveBack(..)
            | Self::Update(Kind::AgendaProgress | Kind::OperationProgress, ..) => Scope::Pull,
            Self::Create(..)
            | Self::Update(..)
            | Self::Delete(..)
            | Self::Reap { .. }
            | Self::IssueToken { .. }
            | Self::Tokens
            | Self::RevokeToken(_) => Scope::Admin,
        })
    }

    /// Whether the call changes something.
    pub(crate) fn is_change(&self) -> bool {
        if let Self::Page(call) = self {
            return call.is_change();
        }
        !matches!(
            self,
            Self::Find(..)
                | Self::Read(..)
                | Self::Summary(_)
                | Self::Status
                | Self::Health
                | Self::OpenApi
                | Self::Check(_)
                | Self::Tokens
        )
    }

    /// Name of the call in the audit log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Find(..) => "find",
            Self::Read(..) => "read",
            Self::Create(..) | Self::CreateAgendas(_) => "create",
            Self::Update(..) => "update",
            Self::Delete(..) => "delete",
            Self::RunTemplate { .. } => "run-template",
            Self::Rerun { .. } => "rerun",
            Self::Extend { .. } => "extend",
            Self::Pull(..) => "pull",
            Self::Report(_) => "report",
            Self::Renew(_) => "renew",
            Self::GiveBack(..) => "give-back",
            Self::Summary(_) => "summary",
            Self::Check(_) => "check",
            Self::Status => "status",
            Self::Health => "health",
            Self::OpenApi => "openapi",
            Self::Reap { .. } => "reap",
            Self::IssueToken { .. } => "issue-token",
            Self::Tokens => "tokens",
            Self::RevokeToken(_) => "revoke-token",
            Self::Page(call) => call.name(),
        }
    }
}
