-- Configuration of Tidemark: every key, at its default. Remove the dashes of what you
-- change. `tidemark config --print` shows what is in force and where it came from; flags win
-- over this file. Durations: "15d", "1h30m", "500ms". Sizes: "2GiB", "64KiB", or bytes.
-- This is Lua without files, processes and modules: local variables and functions are fine.
return {
  -- Where to serve HTTP, one or a list: HOST:PORT, [IPv6]:PORT or unix:PATH, or tables with
  -- address, tls, auth and roles. Port 0 takes a free port and logs it.
  -- (listeners)
  -- Example: listen = { "127.0.0.1:9201", { address = "0.0.0.0:9443",
  --     tls = { certificate = "server.pem", key = "server.key" }, roles = { "push", "read" } } },
  -- listen = "127.0.0.1:9201",
  -- The data folder, in the layout of Prometheus 1.x; made if it is not there.
  -- (path)
  -- data = "./data",
  -- Folder of policy scripts; its *.lua are loaded in order of name. Empty: none.
  -- (path)
  -- scripts = "",

  -- The log, on standard error.
  log = {
    -- Least important lines that are written.
    -- ("error", "warn", "info", "debug")
    -- level = "info",
    -- One event a line, as key=value pairs or as JSON.
    -- ("logfmt", "json")
    -- format = "logfmt",
    -- Which requests get a line: none, those that fail or are slow, or all.
    -- ("off", "errors", "all")
    -- requests = "errors",
    -- A request that takes longer is slow.
    -- (duration, 1ms to 1d)
    -- slow_request = "10s",
    -- Lines of requests in a second; the next one says how many were left out.
    -- (integer, 1 to 1000000)
    -- requests_per_second = 20,
  },

  -- What is kept, and how it gets to disk.
  storage = {
    -- How long samples are kept, or "forever". Scripts may decide otherwise by series.
    -- (duration, 1s to 1000y, or "forever")
    -- retention = "15d",
    -- Encoding of new chunks; all three are always readable. varbit is the smallest.
    -- ("delta", "double-delta", "varbit")
    -- chunk_encoding = "varbit",
    -- Samples that are older than the newest of their series by no more than this are kept. 0:
    -- whatever is not newer is refused, as in Prometheus 1.x.
    -- (duration, 0 to 1000y)
    -- out_of_order = "30m",
    -- Which of two values for the same time counts: the one that came last, the one that came
    -- first, or the greater. Not asked when storage.out_of_order is 0.
    -- ("last", "first", "max")
    -- duplicates = "last",
    -- A series that got no sample for so long has its open chunk closed, so that it can go to disk.
    -- (duration, 1s to 30d)
    -- head_chunk_timeout = "1h",
    -- Longest time between two checkpoints of what is in memory only.
    -- (duration, 1s to 1d)
    -- checkpoint_interval = "5m",
    -- So many series whose recovery would cost a seek cause a checkpoint before its time.
    -- (integer, 1 to 1000000000)
    -- checkpoint_dirty_series_limit = 5000,
    -- When series files are synced after a write: never, always, or as long as the storage keeps up
    -- (adaptive).
    -- ("never", "always", "adaptive")
    -- series_sync = "adaptive",
    -- A series file is rewritten to drop old chunks only when at least this share of it goes.
    -- (number, 0 to 1)
    -- min_shrink_ratio = 0.1,
    -- All that the engine may hold: series, labels, open and cached chunks, postings, caches.
    -- (size, 1MiB to 64TiB)
    -- memory_target = "2GiB",
    -- Pushes are refused (503, to be tried again) when the disk has less free than this and twice
    -- what a clean stop writes, or 2 % of its inodes; new series a little before.
    -- (size, 1MiB to 64TiB)
    -- min_free_space = "64MiB",
    -- When the wall clock jumps by more than this, or is further ahead of the newest sample,
    -- nothing is deleted by age until it is confirmed (POST /api/v1/admin/tsdb/confirm). "forever":
    -- the clock is never doubted.
    -- (duration, 1m to 1000y, or "forever")
    -- clock_slack = "1d",
    -- With less free space than this on the disk of the data folder, the event disk_low is raised,
    -- and rules of tide.disk_pressure may drop old samples. 0: never.
    -- (size, 0 to 4PiB)
    -- disk_low = 0,
  },

  -- What keeps a mistake in rules or configuration from deleting.
  retention = {
    -- A pass that would drop more than this share of all chunks, beyond what time alone makes too
    -- old, is held until it is confirmed. 1: none is.
    -- (number, 0 to 1)
    -- hold_share = 0.2,
    -- One that would drop less than this is not held, whatever its share.
    -- (size, 0 to 64TiB)
    -- hold_least = "16MiB",
    -- Series that were brought back from what a pass of retention dropped are left alone by it for
    -- so long, or until the rules change.
    -- (duration, 1s to 1000y, or "forever")
    -- undelete_hold = "1w",
  },

  -- Where deleted samples wait, so that a delete can be undone.
  trash = {
    -- So long a delete can be undone; then its samples are gone for good.
    -- (duration, 1s to 1000y, or "forever")
    -- ttl = "1d",
  },

  -- The write-ahead log: what was answered survives a crash.
  wal = {
    -- When a push is answered: once its record is synced (always: survives loss of power), once it
    -- is written, with a sync soon after (interval) or none (never): both survive a crash of the
    -- process. off: no log, a crash loses what came after the last checkpoint.
    -- ("off", "never", "interval", "always")
    -- sync = "interval",
    -- Longest time from a write to its sync, with wal.sync "interval".
    -- (duration, 1ms to 1m)
    -- interval = "200ms",
    -- A checkpoint is made when the log's replay would take longer, at the rate last measured. With
    -- the log on this takes the place of the two checkpoint settings above.
    -- (duration, 1s to 1h)
    -- replay_target = "30s",
    -- A checkpoint is made when the log is longer.
    -- (size, 1MiB to 64TiB)
    -- max_size = "4GiB",
  },

  -- Bounds of one query, and of all at once.
  query = {
    -- A query that runs longer is stopped (503). A request may ask for less.
    -- (duration, 1ms to 1d)
    -- timeout = "2m",
    -- Samples that one query may hold in memory (422 beyond).
    -- (integer, 1 to 1000000000000)
    -- max_samples = 50000000,
    -- Memory of the samples that all queries hold together, answers that were not read yet
    -- included; the query that would need more fails (503).
    -- (size, 1MiB to 64TiB)
    -- memory = "4GiB",
    -- Steps of a range query: (end - start) / step.
    -- (integer, 1 to 1000000000)
    -- max_points = 11000,
    -- Series that one selector may find (422 beyond).
    -- (integer, 1 to 1000000000)
    -- max_series = 1000000,
    -- Length of a query's text.
    -- (size, 1KiB to 16MiB)
    -- max_length = "64KiB",
    -- Queries evaluated at the same time; others wait their turn within their timeout.
    -- (integer, 1 to 10000)
    -- concurrency = 20,
    -- How far an instant looks back for the newest sample of a series.
    -- (duration, 1ms to 30d)
    -- lookback = "5m",
    -- The parts of PromQL that Prometheus hides behind options: experimental functions, limitk and
    -- limit_ratio, arithmetic in durations, anchored, smoothed, fill.
    -- ("off", "on")
    -- experimental = "on",
    -- Queries that take longer are logged, and listed at /api/v1/status/queries; 0s: none.
    -- (duration, 0s to 1d)
    -- log_slower_than = "10s",
  },

  -- What pushed samples may look like; beyond, they are refused with a reason.
  limits = {
    -- Samples later than the server's time plus this are refused.
    -- (duration, 0s to 100y)
    -- future = "10m",
    -- Labels of one series, the metric's name included.
    -- (integer, 1 to 10000)
    -- labels_per_series = 128,
    -- Bytes of a label's name.
    -- (size, 1 to 64KiB)
    -- label_name_length = "1KiB",
    -- Bytes of a label's value.
    -- (size, 1 to 1MiB)
    -- label_value_length = "16KiB",
    -- Series in memory; samples that would begin one more are refused.
    -- (integer, 1 to 1000000000)
    -- series = 10000000,
    -- Series in memory and archived, a file each; samples that would begin one more are refused.
    -- (integer, 1 to 4000000000)
    -- total_series = 100000000,
    -- Time for one answer of a rule; past it the rule is stopped and counts as broken.
    -- (duration, 1ms to 1m)
    -- script_time = "250ms",
    -- Memory of the scripts, in each thread that runs them.
    -- (size, 1MiB to 4GiB)
    -- script_memory = "16MiB",
    -- Time for one run of a timer, a recording or alerting rule, or a rule on an event.
    -- (duration, 100ms to 10m)
    -- script_timer_time = "10s",
    -- So many failures of a rule in a row suspend it until the next reload.
    -- (integer, 1 to 1000000000)
    -- script_errors = 10,
  },

  -- What takes samples in beside the HTTP server's usual routes.
  push = {
    -- Where to take Graphite's plaintext lines, such as 127.0.0.1:2003 or unix:PATH. Empty:
    -- nowhere. Anybody who reaches it may push.
    -- (path)
    -- graphite_listen = "",
    -- Series that the groups of a Pushgateway (/metrics/job/...) remember, to mark them as ended
    -- when a PUT or DELETE takes them away.
    -- (integer, 1 to 1000000000)
    -- group_series = 100000,
  },

  -- Several tenants in one server, kept apart by a label.
  tenants = {
    -- The label that says whose a series is. It is set on all that a credential's tenant pushes and
    -- required of all that it reads; the tenant "*" pushes and sees everything. Who has no
    -- credential is refused. Empty: tenants are not kept apart.
    -- (path)
    -- label = "",
  },

  -- Where alerts of scripts are told.
  alerts = {
    -- URLs that take alerts as Alertmanager's API does (http://HOST:9093/api/v2/alerts, with
    -- USER:PASSWORD@ before the host if it asks), with commas between. Empty: none.
    -- (path)
    -- webhooks = "",
    -- Time for one post of alerts; what is not taken is tried again.
    -- (duration, 100ms to 10m)
    -- timeout = "10s",
    -- Alerts that go on firing are told again after so long.
    -- (duration, 1s to 1d)
    -- resend = "1m",
    -- This server's address in alerts; empty: that of the first listener.
    -- (path)
    -- url = "",
  },

  -- Lua consoles on the running server.
  console = {
    -- Where `tidemark console` connects, a Unix socket for root and the server's own user; empty:
    -- console.sock in the data folder; off: none.
    -- (path)
    -- socket = "",
    -- A second socket, for the server's user and group (mode 0660): its consoles look at
    -- everything, but what acts is refused; empty: none.
    -- (path)
    -- read_only_socket = "",
    -- Open consoles at once; further ones are refused.
    -- (integer, 1 to 10000)
    -- connections = 128,
    -- Time for one evaluation; what takes longer is ended.
    -- (duration, 10ms to 1d)
    -- time = "1m",
  },

  -- The HTTP server.
  http = {
    -- Threads that serve connections; 0: one a processor, at most 8.
    -- (integer, 0 to 256)
    -- workers = 0,
    -- Open connections; further ones get 503 and are closed.
    -- (integer, 1 to 1000000)
    -- connections = 512,
    -- Request line and header fields together (431 beyond).
    -- (size, 1KiB to 1MiB)
    -- max_header = "64KiB",
    -- A request's body as it comes over the wire (413 beyond).
    -- (size, 1KiB to 2GiB)
    -- max_body = "64MiB",
    -- A request's body after gzip, zlib or snappy (413 beyond).
    -- (size, 1KiB to 4GiB)
    -- max_decompressed = "256MiB",
    -- Memory of all bodies that are being taken at a time, decompressed ones included; beyond,
    -- large ones get 503.
    -- (size, 1MiB to 1TiB)
    -- max_bodies = "512MiB",
    -- Time for a request's header fields to be complete, from their first byte.
    -- (duration, 100ms to 1h)
    -- header_timeout = "10s",
    -- Time for a request's body to be complete.
    -- (duration, 100ms to 1d)
    -- body_timeout = "1m",
    -- A kept connection without a request is closed after so long.
    -- (duration, 1s to 1d)
    -- idle_timeout = "5m",
    -- At a clean stop, requests under way have so long to end.
    -- (duration, 0s to 1h)
    -- drain_timeout = "10s",
    -- Credentials: user, one of password (a hash), password_file, token and token_file, roles
    -- (push, read, admin) and tenant. Empty: nobody is asked, and admin routes are closed to the
    -- network.
    -- (users)
    -- Example: users = { { user = "grafana", password = "$2y$10$...", roles = "read" },
    --     { user = "agent", token_file = "agent.token", roles = "push", tenant = "web" } },
    -- users = {},
    -- Origins whose pages may read answers; only those that are named (not by "*") may also push
    -- and administer.
    -- (origins)
    -- cors_origins = "*",
    -- Open connections of one address, a /64 with IPv6; further ones get 503 and are closed. Unix
    -- sockets have no such limit.
    -- (integer, 1 to 1000000)
    -- connections_per_client = 256,
    -- Queries of one address that wait or run at the same time (429 beyond).
    -- (integer, 1 to 1000000)
    -- requests_per_client = 256,
  },
}
