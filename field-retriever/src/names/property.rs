//! Keys of the properties file, with the value that POP assumes when the key is absent.

/// URL of the cluster's API; blank means the one in the pod's environment.
pub const KUBERNETES_MASTER_URL: &str = "pop.kubernetes.masterUrl";
/// Namespace of the pods.
pub const KUBERNETES_NAMESPACE: &str = "pop.kubernetes.namespace";
/// Label that usable nodes must have with the value `true`.
pub const KUBERNETES_ZONE: &str = "pop.kubernetes.zone";

/// Prefix of the keys for an external program's pod.
pub const POD_CONFIG_PREFIX: &str = "pop.kubernetes.podconfig.";
/// Line that ends the log of an external program's pod.
pub const POD_END_OF_LOG_IDENTIFIER: &str = "pop.kubernetes.podconfig.endOfLogIdentifier";
/// Prefix of the pod's name.
pub const POD_NAME_PREFIX: &str = "pop.kubernetes.podconfig.namePrefix";
/// Image of the pod.
pub const POD_IMAGE_NAME: &str = "pop.kubernetes.podconfig.docker.imageName";
/// Whether the image is always pulled (false).
pub const POD_IMAGE_PULL_ALWAYS: &str = "pop.kubernetes.podconfig.docker.imagePullAlways";
/// Whether a completed pod is deleted (false).
pub const POD_REAP_COMPLETED: &str = "pop.kubernetes.podconfig.reapCompletedPods";
/// Whether the pod goes to tainted nodes (false).
pub const POD_USE_TAINTED_NODES: &str = "pop.kubernetes.podconfig.useTaintedNodes";
/// Selector of the tainted nodes.
pub const POD_TAINTED_SELECTOR: &str = "pop.kubernetes.podconfig.taintedSelector";
/// Toleration of the taint.
pub const POD_TAINTED_TOLERATION: &str = "pop.kubernetes.podconfig.taintedToleration";
/// Longest time until the pod runs, in milliseconds (300000).
pub const POD_SCHEDULED_TIMEOUT_MS: &str = "pop.kubernetes.podconfig.timeout.scheduledMs";
/// Longest time of the pod without output, in milliseconds (120000).
pub const POD_STDOUT_TIMEOUT_MS: &str = "pop.kubernetes.podconfig.timeout.stdout";
/// Retries of a launch (0).
pub const POD_RETRY_COUNT: &str = "pop.kubernetes.podconfig.retry.count";
/// Milliseconds between two attempts (3000).
pub const POD_RETRY_DELAY_MS: &str = "pop.kubernetes.podconfig.retry.delay";
/// Service account of the pod.
pub const POD_SERVICE_ACCOUNT: &str = "pop.kubernetes.podconfig.serviceAccount";

/// Prefix of the keys for the sample handler's network volume.
pub const SAMPLE_NFS_PREFIX: &str = "pop.handler.sample.nfs.";
/// After the prefix of a network volume: folder on the server.
pub const NFS_SERVER_PATH: &str = "serverPath";
/// After the prefix of a network volume: whether the mount is read-only.
pub const NFS_READ_ONLY: &str = "readOnly";
/// After the prefix of a network volume: mount paths, comma-separated.
pub const NFS_MOUNT_PATHS: &str = "mountPaths";
/// After the prefix of a network volume: the server.
pub const NFS_SERVER: &str = "server";

/// Payload type for external programs: envVar or compressedEnvVar (envVar).
pub const PAYLOAD_OUTPUT_TYPE: &str = "pop.payload.outputType";
/// Characters in one segment of a compressed payload (100000).
pub const PAYLOAD_MAX_SEGMENT_SIZE: &str = "payload.compression.maxSegmentSize";
/// Key of a handler's intermediate path in its params.
pub const INTERMEDIATE_PATH: &str = "pop.handler.intermediate.path";
/// Tokens that an intermediate path must contain, comma-separated.
pub const INTERMEDIATE_REQUIRED_TOKENS: &str = "pop.handler.intermediate.requiredPathTokens";

/// Operations that the executor runs at once (50).
pub const CONDUCTOR_THREAD_POOL_SIZE: &str = "operation.conductor.threadpool.size";
/// URL to which the executor sends the progress of the agenda.
pub const AGENDA_PROGRESS_URL: &str = "agenda.progress.url";
/// Connection timeout for that URL in milliseconds (30000).
pub const AGENDA_PROGRESS_CONNECTION_TIMEOUT: &str = "agenda.progress.connection.timeout";
/// Host of the proxy for that URL.
pub const AGENDA_PROGRESS_PROXY_HOST: &str = "agenda.progress.proxy.host";
/// Port of the proxy for that URL.
pub const AGENDA_PROGRESS_PROXY_PORT: &str = "agenda.progress.proxy.port";
/// Whether the executor deletes its own pod at its end (true).
pub const EXECUTOR_REAP_SELF: &str = "executor.reap.self";
/// Milliseconds that the executor waits for its last reports (60000).
pub const EXECUTOR_PROGRESS_EXIT_TIMEOUT_MS: &str = "executor.progress.threadExitTimeoutMs";
/// Attempts to send an agenda's growth (3).
pub const EXPAND_AGENDA_ATTEMPT_COUNT: &str = "resourcePool.expandAgenda.attemptCount";
/// Milliseconds between two of these attempts (3000).
pub const EXPAND_AGENDA_DELAY_MS: &str = "resourcePool.expandAgenda.delayMs";
/// Whether the registry built into the program is used (false).
pub const USE_STATIC_REGISTRY_CLIENT: &str = "useStaticRegistryClient";
/// Whether the registry built in for production is used (false).
pub const USE_STATIC_PROD_REGISTRY_CLIENT: &str = "useStaticProdRegistryClient";
/// Whether metrics are sent (false).
pub const METRICS_ENABLED: &str = "metrics.enabled";

/// URL of the service from which the puller gets agendas.
pub const PULLER_SERVICE_URL: &str = "pop.puller.resourcePoolServiceUrl";
/// Seconds between two pulls (30).
pub const PULLER_PULL_WAIT: &str = "pop.puller.pullWait";
/// Insight whose agendas are pulled (empty).
pub const PULLER_INSIGHT_ID: &str = "pop.puller.insightId";
/// Agendas per request (1).
pub const PULLER_AGENDA_REQUEST_COUNT: &str = "pop.puller.agendaRequestCount";
/// Agenda file that is used instead of the service.
pub const PULLER_LOCAL_AGENDA_PATH: &str = "pop.puller.localAgendaRelativePath";
/// Agendas of the insight that may run at once (-1: without limit).
pub const INSIGHT_EXECUTION_LIMIT: &str = "insight.execution.limit";
/// The registry file.
pub const REGISTRY_PATH_OVERRIDE: &str = "registryPathOverride";
/// The folder of descriptors.
pub const CONF_D_PATH: &str = "confDPath";
/// Folders of descriptor programs, comma-separated.
pub const HANDLER_FOLDERS: &str = "handlerFolders";
/// Milliseconds after the last pull for which the puller counts as alive (30000).
pub const MONITOR_ALIVE_LAST_REQUEST_MS: &str = "monitor.alive.lastRequestMilliseconds";

/// Minutes that one round of the pod reaper may take (5).
pub const REAPER_RUN_MAX_MINUTES: &str = "reaper.run.maxminutes";
/// Minutes after which a finished pod is deleted (1440).
pub const POD_REAP_AGE_MINUTES: &str = "pod.reap.age.minutes";
/// Pods deleted at once (50).
pub const POD_REAP_BATCH_SIZE: &str = "pod.reap.batch.size";

/// Whether metrics go to Graphite.
pub const GRAPHITE_ENABLED: &str = "graphite.enabled";
/// Prefix of metric names.
pub const GRAPHITE_PATH: &str = "graphite.path";
/// Host of Graphite.
pub const GRAPHITE_ENDPOINT: &str = "graphite.endpoint";
/// Port of Graphite (2003).
pub const GRAPHITE_PORT: &str = "graphite.port";
/// Milliseconds between two reports to Graphite (300000).
pub const GRAPHITE_REPORT_FREQUENCY: &str = "graphite.report.frequency";
/// Whether metrics go to the log (true).
pub const LOGGING_METRIC_ENABLED: &str = "logging.metric.enabled";
/// Milliseconds between two metrics in the log (120000).
pub const LOGGING_METRIC_REPORT_FREQUENCY: &str = "logging.metric.report.frequency";
/// Whether the program runs alive checks (true).
pub const ALIVE_CHECK_ENABLED: &str = "alive.check.enabled";
/// Milliseconds between two such checks (10000).
pub const ALIVE_CHECK_FREQUENCY: &str = "alive.check.frequency";
/// Whether alerts are sent (true).
pub const ALERT_ENABLED: &str = "alert.enabled";
/// Failed checks that make an alert (2).
pub const ALERT_COUNT_THRESHOLD: &str = "alert.count.threshold";
/// Milliseconds between two attempts to send an alert (200).
pub const ALERT_RETRY_TIMEOUT: &str = "alert.retry.timeout";
/// Retries of an alert (3).
pub const ALERT_RETRY_COUNT: &str = "alert.retry.count";
/// Host that alerts go to.
pub const ALERT_HOST: &str = "alert.host";
/// Level of an alert (CRITICAL).
pub const ALERT_LEVEL_FAILED: &str = "alert.level.failed";
/// Level of the message that ends an alert (CLEAR).
pub const ALERT_LEVEL_PASSED: &str = "alert.level.passed";
