//! Names of arguments, environment variables and properties of POP deployments.

/// Arguments, without dashes.
pub mod argument {
    /// How this process was launched.
    pub const LAUNCH_TYPE: &str = "launchType";
    /// How this process launches other programs.
    pub const EXTERNAL_LAUNCH_TYPE: &str = "externalLaunchType";
    /// The properties file.
    pub const PROP_FILE: &str = "propFile";
    /// The payload file.
    pub const PAYLOAD_FILE: &str = "payloadFile";
    /// The file with the progress of an earlier attempt.
    pub const LAST_PROGRESS_FILE: &str = "lastProgressFile";
    /// The file with the certificate of the cluster's authority.
    pub const OAUTH_CERT_PATH: &str = "oauthCertPath";
    /// The file with the token of the service account.
    pub const OAUTH_TOKEN_PATH: &str = "oauthTokenPath";
    /// The configuration file of POP's puller, which requests agendas. It is accepted for old command lines, without effect.
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

    /// An option without a value that container images of POP add when they start a program. It has no effect.
    pub const IGNORED: &str = "c";
}

/// Environment variables.
pub mod environment {
    /// Launch type, unless an argument sets it.
    pub const LAUNCH_TYPE: &str = "POP_LAUNCH_TYPE";
    /// External launch type, unless an argument sets it.
    pub const EXTERNAL_LAUNCH_TYPE: &str = "POP_EXTERNAL_LAUNCH_TYPE";
    /// Properties file, unless an argument names one.
    pub const PROP_FILE: &str = "POP_PROP_FILE";
    /// The payload of type envVar.
    pub const PAYLOAD: &str = "PAYLOAD";
    /// Payload type: envVar, compressedEnvVar or file.
    pub const PAYLOAD_TYPE: &str = "POP_PAYLOAD_TYPE";
    /// Prefix of the variables with compressed segments; a number from 0 follows.
    pub const COMPRESSED_PAYLOAD_PREFIX: &str = "POP_COMPRESSED_PAYLOAD_";
    /// Path of the payload file for type file.
    pub const PAYLOAD_FILE: &str = "POP_PAYLOAD_FILE";
    /// Properties of the handler from the registry: a JSON map of strings.
    pub const PROPERTIES: &str = "POP_PROPERTIES";
    /// Progress of an earlier attempt.
    pub const LAST_PROGRESS: &str = "LAST_PROGRESS";
    /// Path of a file with the progress of an earlier attempt, if it is too long for a variable.
    pub const LAST_PROGRESS_FILE: &str = "POP_LAST_PROGRESS_FILE";
    /// Correlation id, which logs of several systems share.
    pub const CID: &str = "CID";
    /// Identifier of the agenda.
    pub const AGENDA_ID: &str = "AGENDA_ID";
    /// Identifier of the customer.
    pub const CUSTOMER_ID: &str = "CUSTOMER_ID";
    /// Name of the operation.
    pub const OPERATION_NAME: &str = "OPERATION_NAME";
    /// Identifier of the operation.
    pub const OPERATION_ID: &str = "OPERATION_ID";
    /// Identifier in every progress report of the agenda.
    pub const PROGRESS_ID: &str = "PROGRESS_ID";
    /// Token with which an executor reports to the agenda service.
    pub const SERVICE_TOKEN: &str = "POP_SERVICE_TOKEN";
    /// Log level.
    pub const LOG_LEVEL: &str = "LOG_LEVEL";
    /// Comma-separated names of the variables that hold secrets.
    pub const SECRETS: &str = "POP_SECRETS";
    /// Requested action, if the operation names one.
    pub const ACTION: &str = "POP_ACTION";
    /// Number of this attempt, from 1.
    pub const ATTEMPT: &str = "POP_ATTEMPT";
    /// Identifier of the run.
    pub const RUN_ID: &str = "POP_RUN_ID";
    /// Name of this pod.
    pub const POD_NAME: &str = "MY_POD_NAME";
    /// IP address of this pod.
    pub const POD_IP: &str = "MY_POD_IP";
    /// Certificate of the cluster's authority: the data, not a path.
    pub const OAUTH_CERT: &str = "OAUTH_CERT";
    /// Token of the service account: the data, not a path.
    pub const OAUTH_TOKEN: &str = "OAUTH_TOKEN";
    /// The certificate, as older deployments spell the name.
    pub const OATH_CERT: &str = "OATH_CERT";
    /// The token, as older deployments spell the name.
    pub const OATH_TOKEN: &str = "OATH_TOKEN";
    /// Host of the cluster's API, set in every pod.
    pub const KUBERNETES_SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";
    /// Port of the cluster's API, set in every pod.
    pub const KUBERNETES_SERVICE_PORT: &str = "KUBERNETES_SERVICE_PORT";
}

/// Default properties files; the first existing one is used.
pub const PROPERTY_FILES: [&str; 3] =
    ["./config/external.properties", "./config/external-properties", "/app/config/external.properties"];

/// Placeholder for the agenda's id in the texts that an intermediate path must contain.
pub const AGENDA_ID_REFERENCE: &str = "@<pop.agendaId>";

pub mod property;

/// Launch data fields with their names in the three sources.
///
/// The property key of a field is the name of its argument.
pub mod launch_data {
    use super::{argument, environment};
    use crate::field::FieldName;
    use std::borrow::Cow;

    const fn datum(name: &'static str, environment: &'static [&'static str]) -> FieldName {
        FieldName { argument: Some(name), environment, property: Some(Cow::Borrowed(name)) }
    }

    /// How this process was launched.
    pub const LAUNCH_TYPE: FieldName = datum(argument::LAUNCH_TYPE, &[environment::LAUNCH_TYPE]);
    /// How this process launches other programs.
    pub const EXTERNAL_LAUNCH_TYPE: FieldName =
        datum(argument::EXTERNAL_LAUNCH_TYPE, &[environment::EXTERNAL_LAUNCH_TYPE]);
    /// The properties file, which cannot be set by a property.
    pub const PROP_FILE: FieldName = FieldName {
        argument: Some(argument::PROP_FILE),
        environment: &[environment::PROP_FILE],
        property: None,
    };
    /// The file with the certificate of the cluster's authority.
    pub const OAUTH_CERT_PATH: FieldName = datum(argument::OAUTH_CERT_PATH, &[]);
    /// The file with the token of the service account.
    pub const OAUTH_TOKEN_PATH: FieldName = datum(argument::OAUTH_TOKEN_PATH, &[]);
    /// The certificate itself.
    pub const OAUTH_CERT: FieldName =
        FieldName::of_environment(&[environment::OAUTH_CERT, environment::OATH_CERT]);
    /// The token itself.
    pub const OAUTH_TOKEN: FieldName =
        FieldName::of_environment(&[environment::OAUTH_TOKEN, environment::OATH_TOKEN]);
    /// The configuration file of POP's puller; no effect.
    pub const CONF_PATH: FieldName = datum(argument::CONF_PATH, &[]);
    /// Correlation id, which logs of several systems share.
    pub const CID: FieldName = FieldName::of_environment(&[environment::CID]);
    /// Identifier of the agenda.
    pub const AGENDA_ID: FieldName = FieldName::of_environment(&[environment::AGENDA_ID]);
    /// Identifier of the customer.
    pub const CUSTOMER_ID: FieldName = FieldName::of_environment(&[environment::CUSTOMER_ID]);
    /// Name of the operation.
    pub const OPERATION_NAME: FieldName = FieldName::of_environment(&[environment::OPERATION_NAME]);
    /// Identifier of the operation.
    pub const OPERATION_ID: FieldName = FieldName::of_environment(&[environment::OPERATION_ID]);
    /// Identifier in every progress report of the agenda.
    pub const PROGRESS_ID: FieldName = FieldName::of_environment(&[environment::PROGRESS_ID]);
    /// Log level.
    pub const LOG_LEVEL: FieldName = FieldName::of_environment(&[environment::LOG_LEVEL]);
    /// Number of this attempt, from 1.
    pub const ATTEMPT: FieldName = FieldName::of_environment(&[environment::ATTEMPT]);
    /// Identifier of the run.
    pub const RUN_ID: FieldName = FieldName::of_environment(&[environment::RUN_ID]);
    /// Token with which an executor reports to the agenda service.
    pub const SERVICE_TOKEN: FieldName = FieldName::of_environment(&[environment::SERVICE_TOKEN]);
    /// Name of this pod.
    pub const POD_NAME: FieldName = FieldName::of_environment(&[environment::POD_NAME]);
}
