-- The configuration's one truth: every key with type, unit, default, bounds and text.
--
-- What reads it: the check and the defaults (tidemark/config.lua), `tidemark config --print`, the
-- example config.lua, docs/configuration.md, and the specs that keep those in step. The order here
-- is the order everywhere. C knows where each key is stored (core/script/config.c) and nothing
-- else.
--
-- Fields of a key:
--   name      dotted path into the table that config.lua returns
--   type      listeners | users | origins | path | choice | duration | size | integer | number
--   default   as an operator would write it
--   min, max  inclusive bounds, in the same form; every number has both
--   choices   for a choice: the texts, in the order of the C enum (numbered from 0)
--   forever   a duration that may also be "forever"
--   live      may change by a reload; otherwise by a restart only
--   example   lines for the example config.lua, where the default shows nothing
--   text      what it does: sentences for the person who has to set it

return {
  { name = "listen", type = "listeners", default = { "127.0.0.1:9201" },
    example = 'listen = { "127.0.0.1:9201", { address = "0.0.0.0:9443",\n' ..
      '  tls = { certificate = "server.pem", key = "server.key" }, roles = { "push", "read" } } },',
    text = "Where to serve HTTP, one or a list: HOST:PORT, [IPv6]:PORT or unix:PATH, or tables " ..
      "with address, tls, auth and roles. Port 0 takes a free port and logs it." },
  { name = "data", type = "path", default = "./data",
    text = "The data folder, in the layout of Prometheus 1.x; made if it is not there." },
  { name = "scripts", type = "path", default = "",
    text = "Folder of policy scripts; its *.lua are loaded in order of name. Empty: none." },

  { section = "log", text = "The log, on standard error." },
  { name = "log.level", type = "choice", default = "info", live = true,
    choices = { "error", "warn", "info", "debug" },
    text = "Least important lines that are written." },
  { name = "log.format", type = "choice", default = "logfmt", live = true,
    choices = { "logfmt", "json" },
    text = "One event a line, as key=value pairs or as JSON." },
  { name = "log.requests", type = "choice", default = "errors", live = true,
    choices = { "off", "errors", "all" },
    text = "Which requests get a line: none, those that fail or are slow, or all." },
  { name = "log.slow_request", type = "duration", default = "10s", min = "1ms", max = "1d",
    live = true,
    text = "A request that takes longer is slow." },
  { name = "log.requests_per_second", type = "integer", default = 20, min = 1, max = 1000000,
    live = true,
    text = "Lines of requests in a second; the next one says how many were left out." },

  { section = "storage", text = "What is kept, and how it gets to disk." },
  { name = "storage.retention", type = "duration", default = "15d", min = "1s", max = "1000y",
    forever = true, live = true,
    text = 'How long samples are kept, or "forever". Scripts may decide otherwise by series.' },
  { name = "storage.chunk_encoding", type = "choice", default = "varbit",
    choices = { "delta", "double-delta", "varbit" },
    text = "Encoding of new chunks; all three are always readable. varbit is the smallest." },
  { name = "storage.out_of_order", type = "duration", default = "30m", min = "0", max = "1000y",
    text = "Samples that are older than the newest of their series by no more than this are " ..
      "kept. 0: whatever is not newer is refused, as in Prometheus 1.x." },
  { name = "storage.duplicates", type = "choice", default = "last",
    choices = { "last", "first", "max" },
    text = "Which of two values for the same time counts: the one that came last, the one that " ..
      "came first, or the greater. Not asked when storage.out_of_order is 0." },
  { name = "storage.head_chunk_timeout", type = "duration", default = "1h", min = "1s",
    max = "30d", live = true,
    text = "A series that got no sample for so long has its open chunk closed, so that it can " ..
      "go to disk." },
  { name = "storage.checkpoint_interval", type = "duration", default = "5m", min = "1s",
    max = "1d", live = true,
    text = "Longest time between two checkpoints of what is in memory only." },
  { name = "storage.checkpoint_dirty_series_limit", type = "integer", default = 5000, min = 1,
    max = 1e9, live = true,
    text = "So many series whose recovery would cost a seek cause a checkpoint before its time." },
  { name = "storage.series_sync", type = "choice", default = "adaptive", live = true,
    choices = { "never", "always", "adaptive" },
    text = "When series files are synced after a write: never, always, or as long as the " ..
      "storage keeps up (adaptive)." },
  { name = "storage.min_shrink_ratio", type = "number", default = 0.1, min = 0, max = 1,
    live = true,
    text = "A series file is rewritten to drop old chunks only when at least this share of it " ..
      "goes." },
  { name = "storage.memory_target", type = "size", default = "2GiB", min = "1MiB", max = "64TiB",
    live = true,
    text = "All that the engine may hold: series, labels, open and cached chunks, postings, " ..
      "caches." },

  { name = "storage.min_free_space", type = "size", default = "64MiB", min = "1MiB", max = "64TiB",
    text = "Pushes are refused (503, to be tried again) when the disk has less free than this " ..
      "and twice what a clean stop writes, or 2 % of its inodes; new series a little before." },

  { name = "storage.clock_slack", type = "duration", default = "1d", min = "1m", max = "1000y",
    forever = true,
    text = "When the wall clock jumps by more than this, or is further ahead of the newest " ..
      "sample, nothing is deleted by age until it is confirmed (POST " ..
      '/api/v1/admin/tsdb/confirm). "forever": the clock is never doubted.' },

  { name = "storage.disk_low", type = "size", default = 0, min = 0, max = "4PiB",
    text = "With less free space than this on the disk of the data folder, the event disk_low " ..
      "is raised, and rules of tide.disk_pressure may drop old samples. 0: never." },
  { section = "retention", text = "What keeps a mistake in rules or configuration from deleting." },
  { name = "retention.hold_share", type = "number", default = 0.2, min = 0, max = 1,
    text = "A pass that would drop more than this share of all chunks, beyond what time alone " ..
      "makes too old, is held until it is confirmed. 1: none is." },
  { name = "retention.hold_least", type = "size", default = "16MiB", min = "0", max = "64TiB",
    text = "One that would drop less than this is not held, whatever its share." },
  { name = "retention.undelete_hold", type = "duration", default = "7d", min = "1s", max = "1000y",
    forever = true,
    text = "Series that were brought back from what a pass of retention dropped are left alone " ..
      "by it for so long, or until the rules change." },

  { section = "trash", text = "Where deleted samples wait, so that a delete can be undone." },
  { name = "trash.ttl", type = "duration", default = "1d", min = "1s", max = "1000y",
    forever = true,
    text = "So long a delete can be undone; then its samples are gone for good." },

  { section = "wal", text = "The write-ahead log: what was answered survives a crash." },
  { name = "wal.sync", type = "choice", default = "interval",
    choices = { "off", "never", "interval", "always" },
    text = "When a push is answered: once its record is synced (always: survives loss of " ..
      "power), once it is written, with a sync soon after (interval) or none (never): both " ..
      "survive a crash of the process. off: no log, a crash loses what came after the last " ..
      "checkpoint." },
  { name = "wal.interval", type = "duration", default = "200ms", min = "1ms", max = "1m",
    text = 'Longest time from a write to its sync, with wal.sync "interval".' },
  { name = "wal.replay_target", type = "duration", default = "30s", min = "1s", max = "1h",
    text = "A checkpoint is made when the log's replay would take longer, at the rate last " ..
      "measured. With the log on this takes the place of the two checkpoint settings above." },
  { name = "wal.max_size", type = "size", default = "4GiB", min = "1MiB", max = "64TiB",
    text = "A checkpoint is made when the log is longer." },

  { section = "query", text = "Bounds of one query, and of all at once." },
  { name = "query.timeout", type = "duration", default = "2m", min = "1ms", max = "1d",
    live = true,
    text = "A query that runs longer is stopped (503). A request may ask for less." },
  { name = "query.max_samples", type = "integer", default = 50000000, min = 1, max = 1e12,
    live = true,
    text = "Samples that one query may hold in memory (422 beyond)." },
  { name = "query.memory", type = "size", default = "4GiB", min = "1MiB", max = "64TiB",
    text = "Memory of the samples that all queries hold together, answers that were not read " ..
      "yet included; the query that would need more fails (503)." },
  { name = "query.max_points", type = "integer", default = 11000, min = 1, max = 1e9, live = true,
    text = "Steps of a range query: (end - start) / step." },
  { name = "query.max_series", type = "integer", default = 1000000, min = 1, max = 1e9,
    live = true,
    text = "Series that one selector may find (422 beyond)." },
  { name = "query.max_length", type = "size", default = "64KiB", min = "1KiB", max = "16MiB",
    live = true,
    text = "Length of a query's text." },
  { name = "query.concurrency", type = "integer", default = 20, min = 1, max = 10000,
    text = "Queries evaluated at the same time; others wait their turn within their timeout." },
  { name = "query.lookback", type = "duration", default = "5m", min = "1ms", max = "30d",
    live = true,
    text = "How far an instant looks back for the newest sample of a series." },
  { name = "query.experimental", type = "choice", default = "on", choices = { "off", "on" },
    text = "The parts of PromQL that Prometheus hides behind options: experimental functions, " ..
      "limitk and limit_ratio, arithmetic in durations, anchored, smoothed, fill." },
  { name = "query.log_slower_than", type = "duration", default = "10s", min = "0s", max = "1d",
    text = "Queries that take longer are logged, and listed at /api/v1/status/queries; 0s: none." },

  { section = "limits",
    text = "What pushed samples may look like; beyond, they are refused with a reason." },
  { name = "limits.future", type = "duration", default = "10m", min = "0s", max = "100y",
    live = true,
    text = "Samples later than the server's time plus this are refused." },
  { name = "limits.labels_per_series", type = "integer", default = 128, min = 1, max = 10000,
    live = true,
    text = "Labels of one series, the metric's name included." },
  { name = "limits.label_name_length", type = "size", default = "1KiB", min = 1, max = "64KiB",
    live = true,
    text = "Bytes of a label's name." },
  { name = "limits.label_value_length", type = "size", default = "16KiB", min = 1, max = "1MiB",
    live = true,
    text = "Bytes of a label's value." },
  { name = "limits.series", type = "integer", default = 10000000, min = 1, max = 1e9, live = true,
    text = "Series in memory; samples that would begin one more are refused." },
  { name = "limits.total_series", type = "integer", default = 100000000, min = 1, max = 4e9,
    text = "Series in memory and archived, a file each; samples that would begin one more are " ..
      "refused." },

  { name = "limits.script_time", type = "duration", default = "250ms", min = "1ms", max = "1m",
    text = "Time for one answer of a rule; past it the rule is stopped and counts as broken." },
  { name = "limits.script_memory", type = "size", default = "16MiB", min = "1MiB", max = "4GiB",
    text = "Memory of the scripts, in each thread that runs them." },
  { name = "limits.script_timer_time", type = "duration", default = "10s", min = "100ms",
    max = "10m",
    text = "Time for one run of a timer, a recording or alerting rule, or a rule on an event." },
  { name = "limits.script_errors", type = "integer", default = 10, min = 1, max = 1e9,
    text = "So many failures of a rule in a row suspend it until the next reload." },

  { section = "push", text = "What takes samples in beside the HTTP server's usual routes." },
  { name = "push.graphite_listen", type = "path", default = "",
    text = "Where to take Graphite's plaintext lines, such as 127.0.0.1:2003 or unix:PATH. " ..
      "Empty: nowhere. Anybody who reaches it may push." },
  { name = "push.group_series", type = "integer", default = 100000, min = 1, max = 1e9,
    text = "Series that the groups of a Pushgateway (/metrics/job/...) remember, to mark them " ..
      "as ended when a PUT or DELETE takes them away." },

  { section = "tenants", text = "Several tenants in one server, kept apart by a label." },
  { name = "tenants.label", type = "path", default = "",
    text = "The label that says whose a series is. It is set on all that a credential's tenant " ..
      'pushes and required of all that it reads; the tenant "*" pushes and sees everything. ' ..
      "Who has no credential is refused. Empty: tenants are not kept apart." },

  { section = "alerts", text = "Where alerts of scripts are told." },
  { name = "alerts.webhooks", type = "path", default = "",
    text = "URLs that take alerts as Alertmanager's API does (http://HOST:9093/api/v2/alerts, " ..
      "with USER:PASSWORD@ before the host if it asks), with commas between. Empty: none." },
  { name = "alerts.timeout", type = "duration", default = "10s", min = "100ms", max = "10m",
    text = "Time for one post of alerts; what is not taken is tried again." },
  { name = "alerts.resend", type = "duration", default = "1m", min = "1s", max = "1d",
    text = "Alerts that go on firing are told again after so long." },
  { name = "alerts.url", type = "path", default = "",
    text = "This server's address in alerts; empty: that of the first listener." },

  { section = "console", text = "Lua consoles on the running server." },
  { name = "console.socket", type = "path", default = "",
    text = "Where `tidemark console` connects, a Unix socket for root and the server's own " ..
      "user; empty: console.sock in the data folder; off: none." },
  { name = "console.read_only_socket", type = "path", default = "",
    text = "A second socket, for the server's user and group (mode 0660): its consoles look at " ..
      "everything, but what acts is refused; empty: none." },
  { name = "console.connections", type = "integer", default = 128, min = 1, max = 10000,
    text = "Open consoles at once; further ones are refused." },
  { name = "console.time", type = "duration", default = "1m", min = "10ms", max = "1d",
    text = "Time for one evaluation; what takes longer is ended." },

  { section = "http", text = "The HTTP server." },
  { name = "http.workers", type = "integer", default = 0, min = 0, max = 256,
    text = "Threads that serve connections; 0: one a processor, at most 8." },
  { name = "http.connections", type = "integer", default = 512, min = 1, max = 1000000,
    live = true,
    text = "Open connections; further ones get 503 and are closed." },
  { name = "http.max_header", type = "size", default = "64KiB", min = "1KiB", max = "1MiB",
    live = true,
    text = "Request line and header fields together (431 beyond)." },
  { name = "http.max_body", type = "size", default = "64MiB", min = "1KiB", max = "2GiB",
    live = true,
    text = "A request's body as it comes over the wire (413 beyond)." },
  { name = "http.max_decompressed", type = "size", default = "256MiB", min = "1KiB", max = "4GiB",
    live = true,
    text = "A request's body after gzip, zlib or snappy (413 beyond)." },
  { name = "http.max_bodies", type = "size", default = "512MiB", min = "1MiB", max = "1TiB",
    text = "Memory of all bodies that are being taken at a time, decompressed ones included; " ..
      "beyond, large ones get 503." },
  { name = "http.header_timeout", type = "duration", default = "10s", min = "100ms", max = "1h",
    live = true,
    text = "Time for a request's header fields to be complete, from their first byte." },
  { name = "http.body_timeout", type = "duration", default = "1m", min = "100ms", max = "1d",
    live = true,
    text = "Time for a request's body to be complete." },
  { name = "http.idle_timeout", type = "duration", default = "5m", min = "1s", max = "1d",
    live = true,
    text = "A kept connection without a request is closed after so long." },
  { name = "http.drain_timeout", type = "duration", default = "10s", min = "0s", max = "1h",
    live = true,
    text = "At a clean stop, requests under way have so long to end." },
  { name = "http.users", type = "users", default = {}, live = true,
    example = 'users = { { user = "grafana", password = "$2y$10$...", roles = "read" },\n' ..
      '  { user = "agent", token_file = "agent.token", roles = "push", tenant = "web" } },',
    text = "Credentials: user, one of password (a hash), password_file, token and token_file, " ..
      "roles (push, read, admin) and tenant. Empty: nobody is asked, and admin routes are " ..
      "closed to the network." },
  { name = "http.cors_origins", type = "origins", default = "*", live = true,
    text = "Origins whose pages may read answers; only those that are named (not by \"*\") may " ..
      "also push and administer." },
  { name = "http.connections_per_client", type = "integer", default = 256, min = 1,
    max = 1000000, live = true,
    text = "Open connections of one address, a /64 with IPv6; further ones get 503 and are " ..
      "closed. Unix sockets have no such limit." },
  { name = "http.requests_per_client", type = "integer", default = 256, min = 1, max = 1000000,
    live = true,
    text = "Queries of one address that wait or run at the same time (429 beyond)." },
}
