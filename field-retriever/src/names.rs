//! Every name of an argument, an environment variable and a property that POP deployments use.

/// Arguments, as written after the dashes.
pub mod argument {
    /// How this process was launched.
    pub const LAUNCH_TYPE: &str = "launchType";
    /// How this process launches what it calls.
    pub const EXTERNAL_LAUNCH_TYPE: &str = "externalLaunchType";
    /// The properties file.
    pub const PROP_FILE: &str = "propFile";
    /// The file whose text is the payload.
    pub const PAYLOAD_FILE: &str = "payloadFile";
    /// The file whose text is the progress of an earlier attempt.
    pub const LAST_PROGRESS_FILE: &str = "lastProgressFile";
    /// The file that holds the certificate of the cluster's authority.
    pub const OAUTH_CERT_PATH: &str = "oauthCertPath";
    /// The file that holds the token of the service account.
    pub const OAUTH_TOKEN_PATH: &str = "oauthTokenPath";
    /// The configuration of the puller; read by nobody, accepted for old command lines.
    pub const CONF_PATH: &str = "confPath";

    /// Every argument that takes a value.
    pub const ALL: [&str; 8] = [
        LAUNCH_TYPE,
        EXTERNAL_LAUNCH_TYPE,
        PROP_FILE,
        PAYLOAD_FILE,
        LAST_PROGRESS_FILE,
        OAUTH_CERT_PATH,
        OAUTH_TOKEN_PATH,
        CONF_PATH,
    ];

    /// The option with which container images start a program; it takes no value and means nothing.
    pub const IGNORED: &str = "c";
}

/// Environment variables.
pub mod environment {
    /// Launch type when no argument gives it.
    pub const LAUNCH_TYPE: &str = "POP_LAUNCH_TYPE";
    /// External launch type when no argument gives it.
    pub const EXTERNAL_LAUNCH_TYPE: &str = "POP_EXTERNAL_LAUNCH_TYPE";
    /// Properties file when no argument gives it.
    pub const PROP_FILE: &str = "POP_PROP_FILE";
    /// Text of the payload, when it travels plain.
    pub const PAYLOAD: &str = "PAYLOAD";
    /// How the payload travels: envVar, compressedEnvVar or file.
    pub const PAYLOAD_TYPE: &str = "POP_PAYLOAD_TYPE";
    /// What the names of the payload's compressed segments begin with; a number from 0 follows.
    pub const COMPRESSED_PAYLOAD_PREFIX: &str = "POP_COMPRESSED_PAYLOAD_";
    /// File of the payload, when it travels as a file.
    pub const PAYLOAD_FILE: &str = "POP_PAYLOAD_FILE";
    /// Properties that the registry gives to a handler: a JSON map of texts.
    pub const PROPERTIES: &str = "POP_PROPERTIES";
    /// Progress of an earlier attempt.
    pub const LAST_PROGRESS: &str = "LAST_PROGRESS";
    /// File of the progress of an earlier attempt, when it is too long for a variable.
    pub const LAST_PROGRESS_FILE: &str = "POP_LAST_PROGRESS_FILE";
    /// Correlation identifier.
    pub const CID: &str = "CID";
    /// Identifier of the agenda.
    pub const AGENDA_ID: &str = "AGENDA_ID";
    /// Identifier of the customer.
    pub const CUSTOMER_ID: &str = "CUSTOMER_ID";
    /// Name of the operation.
    pub const OPERATION_NAME: &str = "OPERATION_NAME";
    /// Identifier of the operation.
    pub const OPERATION_ID: &str = "OPERATION_ID";
    /// Identifier that every progress report of the agenda carries.
    pub const PROGRESS_ID: &str = "PROGRESS_ID";
    /// Level of the log.
    pub const LOG_LEVEL: &str = "LOG_LEVEL";
    /// The names of the variables whose values are secrets, separated by commas.
    pub const SECRETS: &str = "POP_SECRETS";
    /// The action that the handler is asked for, if the operation names one.
    pub const ACTION: &str = "POP_ACTION";
    /// Number of this attempt at the operation.
    pub const ATTEMPT: &str = "POP_ATTEMPT";
    /// Identifier of the run.
    pub const RUN_ID: &str = "POP_RUN_ID";
    /// Name of the own pod.
    pub const POD_NAME: &str = "MY_POD_NAME";
    /// Address of the own pod.
    pub const POD_IP: &str = "MY_POD_IP";
    /// Certificate of the cluster's authority: the data, not a path.
    pub const OAUTH_CERT: &str = "OAUTH_CERT";
    /// Token of the service account: the data, not a path.
    pub const OAUTH_TOKEN: &str = "OAUTH_TOKEN";
    /// The certificate as older deployments spell it.
    pub const OATH_CERT: &str = "OATH_CERT";
    /// The token as older deployments spell it.
    pub const OATH_TOKEN: &str = "OATH_TOKEN";
    /// Host of the cluster's API, set in every pod.
    pub const KUBERNETES_SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";
    /// Port of the cluster's API, set in every pod.
    pub const KUBERNETES_SERVICE_PORT: &str = "KUBERNETES_SERVICE_PORT";
}

/// Properties files that are tried in turn when none is named.
pub const PROPERTY_FILES: [&str; 3] =
    ["./config/external.properties", "./config/external-properties", "/app/config/external.properties"];

/// Reference that stands for the agenda's identifier in path tokens.
pub const AGENDA_ID_REFERENCE: &str = "@<pop.agendaId>";

pub mod property;

/// The launch data, with the names that each of them has in the three sources.
///
/// The property key of a datum is the name of its argument.
pub mod launch_data {
    use super::{argument, environment};
    use crate::field::FieldName;
    use std::borrow::Cow;

    const fn datum(name: &'static str, environment: &'static [&'static str]) -> FieldName {
        FieldName { argument: Some(name), environment, property: Some(Cow::Borrowed(name)) }
    }

    /// How this process was launched.
    pub const LAUNCH_TYPE: FieldName = datum(argument::LAUNCH_TYPE, &[environment::LAUNCH_TYPE]);
    /// How this process launches what it calls.
    pub const EXTERNAL_LAUNCH_TYPE: FieldName =
        datum(argument::EXTERNAL_LAUNCH_TYPE, &[environment::EXTERNAL_LAUNCH_TYPE]);
    /// The properties file; it cannot name itself.
    pub const PROP_FILE: FieldName = FieldName {
        argument: Some(argument::PROP_FILE),
        environment: &[environment::PROP_FILE],
        property: None,
    };
    /// The file that holds the certificate of the cluster's authority.
    pub const OAUTH_CERT_PATH: FieldName = datum(argument::OAUTH_CERT_PATH, &[]);
    /// The file that holds the token of the service account.
    pub const OAUTH_TOKEN_PATH: FieldName = datum(argument::OAUTH_TOKEN_PATH, &[]);
    /// The certificate itself.
    pub const OAUTH_CERT: FieldName =
        FieldName::of_environment(&[environment::OAUTH_CERT, environment::OATH_CERT]);
    /// The token itself.
    pub const OAUTH_TOKEN: FieldName =
        FieldName::of_environment(&[environment::OAUTH_TOKEN, environment::OATH_TOKEN]);
    /// The configuration of the puller.
    pub const CONF_PATH: FieldName = datum(argument::CONF_PATH, &[]);
    /// Correlation identifier.
    pub const CID: FieldName = FieldName::of_environment(&[environment::CID]);
    /// Identifier of the agenda.
    pub const AGENDA_ID: FieldName = FieldName::of_environment(&[environment::AGENDA_ID]);
    /// Identifier of the customer.
    pub const CUSTOMER_ID: FieldName = FieldName::of_environment(&[environment::CUSTOMER_ID]);
    /// Name of the operation.
    pub const OPERATION_NAME: FieldName = FieldName::of_environment(&[environment::OPERATION_NAME]);
    /// Identifier of the operation.
    pub const OPERATION_ID: FieldName = FieldName::of_environment(&[environment::OPERATION_ID]);
    /// Identifier that every progress report of the agenda carries.
    pub const PROGRESS_ID: FieldName = FieldName::of_environment(&[environment::PROGRESS_ID]);
    /// Level of the log.
    pub const LOG_LEVEL: FieldName = FieldName::of_environment(&[environment::LOG_LEVEL]);
    /// Number of this attempt at the operation.
    pub const ATTEMPT: FieldName = FieldName::of_environment(&[environment::ATTEMPT]);
    /// Identifier of the run.
    pub const RUN_ID: FieldName = FieldName::of_environment(&[environment::RUN_ID]);
    /// Name of the own pod.
    pub const POD_NAME: FieldName = FieldName::of_environment(&[environment::POD_NAME]);
}
