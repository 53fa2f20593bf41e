//! Keys of the properties file of POP (Priority Operation Processing) deployments, so that such a file can stay as it is.
//!
//! A value in parentheses is POP's default. pop and its toolkit read only some of these keys, and may have other
//! defaults: docs/formats/contract.md lists them. GLOSSARY.md explains POP's services.

/// URL of the cluster's API server. If it is blank, POP takes the address from the variables of its own pod.
pub const KUBERNETES_MASTER_URL: &str = "pop.kubernetes.masterUrl";
/// Namespace in which pods are created.
pub const KUBERNETES_NAMESPACE: &str = "pop.kubernetes.namespace";
/// Name of a node label. Pods run only on nodes that have this label with the value `true`.
pub const KUBERNETES_ZONE: &str = "pop.kubernetes.zone";

/// Prefix of the keys for the pod in which a handler runs an external program, such as ffmpeg.
pub const POD_CONFIG_PREFIX: &str = "pop.kubernetes.podconfig.";
/// External program's pod: text in the last line of the log of a successful pod. It has no effect in pop.
pub const POD_END_OF_LOG_IDENTIFIER: &str = "pop.kubernetes.podconfig.endOfLogIdentifier";
/// External program's pod: prefix of the pod's name.
pub const POD_NAME_PREFIX: &str = "pop.kubernetes.podconfig.namePrefix";
/// External program's pod: container image.
pub const POD_IMAGE_NAME: &str = "pop.kubernetes.podconfig.docker.imageName";
/// External program's pod: whether the image is pulled even if it is present (false).
pub const POD_IMAGE_PULL_ALWAYS: &str = "pop.kubernetes.podconfig.docker.imagePullAlways";
/// External program's pod: whether the pod is deleted when it has ended (false).
pub const POD_REAP_COMPLETED: &str = "pop.kubernetes.podconfig.reapCompletedPods";
/// External program's pod: whether the pod prefers nodes with the label `dedicated` and tolerates their taint (false).
pub const POD_USE_TAINTED_NODES: &str = "pop.kubernetes.podconfig.useTaintedNodes";
/// External program's pod: value of the label `dedicated` of these nodes.
pub const POD_TAINTED_SELECTOR: &str = "pop.kubernetes.podconfig.taintedSelector";
/// External program's pod: value of the taint `dedicated` that the pod tolerates.
pub const POD_TAINTED_TOLERATION: &str = "pop.kubernetes.podconfig.taintedToleration";
/// External program's pod: longest time from its creation until it runs, in milliseconds (300000).
pub const POD_SCHEDULED_TIMEOUT_MS: &str = "pop.kubernetes.podconfig.timeout.scheduledMs";
/// External program's pod: longest time without output, in milliseconds (120000).
pub const POD_STDOUT_TIMEOUT_MS: &str = "pop.kubernetes.podconfig.timeout.stdout";
/// External program's pod: number of further attempts if the launch fails (0).
pub const POD_RETRY_COUNT: &str = "pop.kubernetes.podconfig.retry.count";
/// External program's pod: milliseconds between two attempts to launch it (3000).
pub const POD_RETRY_DELAY_MS: &str = "pop.kubernetes.podconfig.retry.delay";
/// External program's pod: service account.
pub const POD_SERVICE_ACCOUNT: &str = "pop.kubernetes.podconfig.serviceAccount";

/// Prefix of the keys for the NFS volume of POP's example handler, `sample`. One of the four `NFS_` suffixes follows.
pub const SAMPLE_NFS_PREFIX: &str = "pop.handler.sample.nfs.";
/// Suffix of a key for an NFS volume: folder on the server.
pub const NFS_SERVER_PATH: &str = "serverPath";
/// Suffix of a key for an NFS volume: whether the mount is read-only.
pub const NFS_READ_ONLY: &str = "readOnly";
/// Suffix of a key for an NFS volume: mount paths, comma-separated.
pub const NFS_MOUNT_PATHS: &str = "mountPaths";
/// Suffix of a key for an NFS volume: host name of the server.
pub const NFS_SERVER: &str = "server";

/// How POP passes payloads to programs that it starts: `envVar` or `compressedEnvVar` (`envVar`).
pub const PAYLOAD_OUTPUT_TYPE: &str = "pop.payload.outputType";
/// Number of characters in each variable of a compressed payload (100000).
pub const PAYLOAD_MAX_SEGMENT_SIZE: &str = "payload.compression.maxSegmentSize";
/// Key in the `params` of a handler's payload, not a property: the folder for the handler's temporary files.
pub const INTERMEDIATE_PATH: &str = "pop.handler.intermediate.path";
/// Texts that the folder for temporary files ([`INTERMEDIATE_PATH`]) must contain, comma-separated. `@<pop.agendaId>`
/// stands for the agenda's id.
pub const INTERMEDIATE_REQUIRED_TOKENS: &str = "pop.handler.intermediate.requiredPathTokens";

/// Maximum number of operations that POP's executor runs at once (50).
pub const CONDUCTOR_THREAD_POOL_SIZE: &str = "operation.conductor.threadpool.size";
/// URL to which the executor (the process that executes an agenda) sends the agenda's progress.
pub const AGENDA_PROGRESS_URL: &str = "agenda.progress.url";
/// Timeout of connections to [`AGENDA_PROGRESS_URL`], in milliseconds (30000).
pub const AGENDA_PROGRESS_CONNECTION_TIMEOUT: &str = "agenda.progress.connection.timeout";
/// Host of the proxy for requests to [`AGENDA_PROGRESS_URL`].
pub const AGENDA_PROGRESS_PROXY_HOST: &str = "agenda.progress.proxy.host";
/// Port of the proxy for requests to [`AGENDA_PROGRESS_URL`].
pub const AGENDA_PROGRESS_PROXY_PORT: &str = "agenda.progress.proxy.port";
/// Whether the executor deletes its own pod when the agenda has ended (true; pop: false).
pub const EXECUTOR_REAP_SELF: &str = "executor.reap.self";
/// Longest time at the end until the executor has sent its last progress, in milliseconds (60000).
pub const EXECUTOR_PROGRESS_EXIT_TIMEOUT_MS: &str = "executor.progress.threadExitTimeoutMs";
/// Number of attempts to send the operations that a generator added to the service that stores the agenda (3).
pub const EXPAND_AGENDA_ATTEMPT_COUNT: &str = "resourcePool.expandAgenda.attemptCount";
/// Milliseconds between two attempts to send added operations (3000).
pub const EXPAND_AGENDA_DELAY_MS: &str = "resourcePool.expandAgenda.delayMs";
/// Whether POP uses a registry that is compiled into the program, instead of a file (false).
pub const USE_STATIC_REGISTRY_CLIENT: &str = "useStaticRegistryClient";
/// Whether POP uses the compiled registry for production, instead of a file (false).
pub const USE_STATIC_PROD_REGISTRY_CLIENT: &str = "useStaticProdRegistryClient";
/// Whether metrics are sent (false).
pub const METRICS_ENABLED: &str = "metrics.enabled";

/// URL of the service from which the puller requests agendas. The puller, a service of POP, starts an executor for each.
pub const PULLER_SERVICE_URL: &str = "pop.puller.resourcePoolServiceUrl";
/// Seconds that the puller waits between two requests for agendas (30).
pub const PULLER_PULL_WAIT: &str = "pop.puller.pullWait";
/// Id of the insight (POP's word for a queue of agendas) from which the puller takes agendas (empty).
pub const PULLER_INSIGHT_ID: &str = "pop.puller.insightId";
/// Maximum number of agendas in one request of the puller (1).
pub const PULLER_AGENDA_REQUEST_COUNT: &str = "pop.puller.agendaRequestCount";
/// Agenda file that the puller uses instead of the service.
pub const PULLER_LOCAL_AGENDA_PATH: &str = "pop.puller.localAgendaRelativePath";
/// Maximum number of agendas of the insight that run at once (-1: unlimited).
pub const INSIGHT_EXECUTION_LIMIT: &str = "insight.execution.limit";
/// Path of the registry file.
pub const REGISTRY_PATH_OVERRIDE: &str = "registryPathOverride";
/// Folder of descriptors, files that declare handlers.
pub const CONF_D_PATH: &str = "confDPath";
/// Folders in which to look for the programs that descriptors name, comma-separated.
pub const HANDLER_FOLDERS: &str = "handlerFolders";
/// Longest time since the puller's last successful request for which the puller counts as alive, in milliseconds (30000).
pub const MONITOR_ALIVE_LAST_REQUEST_MS: &str = "monitor.alive.lastRequestMilliseconds";

/// Longest run of POP's pod reaper, a job that deletes old pods, in minutes (5).
pub const REAPER_RUN_MAX_MINUTES: &str = "reaper.run.maxminutes";
/// Minutes after the end of a pod before the pod reaper deletes it (1440).
pub const POD_REAP_AGE_MINUTES: &str = "pod.reap.age.minutes";
/// Number of pods that the pod reaper deletes in one batch (50).
pub const POD_REAP_BATCH_SIZE: &str = "pod.reap.batch.size";

/// Whether metrics are sent to Graphite, a time series database.
pub const GRAPHITE_ENABLED: &str = "graphite.enabled";
/// Prefix of the names of metrics in Graphite.
pub const GRAPHITE_PATH: &str = "graphite.path";
/// Host name of Graphite.
pub const GRAPHITE_ENDPOINT: &str = "graphite.endpoint";
/// Port of Graphite (2003).
pub const GRAPHITE_PORT: &str = "graphite.port";
/// Milliseconds between two reports of all metrics to Graphite (300000).
pub const GRAPHITE_REPORT_FREQUENCY: &str = "graphite.report.frequency";
/// Whether metrics are written to the log (true).
pub const LOGGING_METRIC_ENABLED: &str = "logging.metric.enabled";
/// Milliseconds between two reports of all metrics in the log (120000).
pub const LOGGING_METRIC_REPORT_FREQUENCY: &str = "logging.metric.report.frequency";
/// Whether a service of POP checks regularly that it still works, the alive check (true).
pub const ALIVE_CHECK_ENABLED: &str = "alive.check.enabled";
/// Milliseconds between two alive checks (10000).
pub const ALIVE_CHECK_FREQUENCY: &str = "alive.check.frequency";
/// Whether failed alive checks raise alerts (true).
pub const ALERT_ENABLED: &str = "alert.enabled";
/// Number of failed alive checks that raise an alert (2).
pub const ALERT_COUNT_THRESHOLD: &str = "alert.count.threshold";
/// Milliseconds between two attempts to send an alert (200).
pub const ALERT_RETRY_TIMEOUT: &str = "alert.retry.timeout";
/// Number of further attempts to send an alert (3).
pub const ALERT_RETRY_COUNT: &str = "alert.retry.count";
/// Host to which alerts are sent.
pub const ALERT_HOST: &str = "alert.host";
/// Level of an alert (CRITICAL).
pub const ALERT_LEVEL_FAILED: &str = "alert.level.failed";
/// Level of the message that an alive check passes again after an alert (CLEAR).
pub const ALERT_LEVEL_PASSED: &str = "alert.level.passed";
