/* config.h - the operator's configuration: config.lua and flags, checked, as plain values.
 *
 * lua/tidemark/schema.lua is the one truth: names, types, defaults, bounds and texts of all keys. A
 * key is written "storage.retention" everywhere (flags, errors, docs). Not thread-safe; load it at
 * the start, read it from anywhere afterwards. No Lua state outlives a call.
 *
 * Lengths of time are milliseconds, sizes are bytes. All strings are owned by the config. */
#ifndef TIDE_SCRIPT_CONFIG_H
#define TIDE_SCRIPT_CONFIG_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"

/* The value of a duration that the operator wrote as "forever". */
#define CONFIG_FOREVER_MS INT64_MAX

/* Orders are those of the schema's value lists, which a spec checks. */
enum config_chunk_encoding {
    CONFIG_CHUNK_DELTA = 0, /* the encoding's number on disk */
    CONFIG_CHUNK_DOUBLE_DELTA = 1,
    CONFIG_CHUNK_VARBIT = 2,
};

enum config_duplicates { CONFIG_DUPLICATES_LAST, CONFIG_DUPLICATES_FIRST, CONFIG_DUPLICATES_MAX };

enum config_series_sync { CONFIG_SYNC_NEVER, CONFIG_SYNC_ALWAYS, CONFIG_SYNC_ADAPTIVE };

enum config_log_requests { CONFIG_LOG_OFF, CONFIG_LOG_ERRORS, CONFIG_LOG_ALL };

/* Roles are bits. */
enum config_role { CONFIG_ROLE_PUSH = 1, CONFIG_ROLE_READ = 2, CONFIG_ROLE_ADMIN = 4 };

enum config_auth {
    CONFIG_AUTH_DEFAULT, /* required when there are users */
    CONFIG_AUTH_REQUIRED,
    CONFIG_AUTH_NONE,
};

enum config_client_certificate { CONFIG_CLIENT_REQUIRED, CONFIG_CLIENT_OPTIONAL };

/* Texts that were not given are "". */
struct config_listener {
    char *address;     /* "127.0.0.1:9201", "[::1]:9201", "unix:/run/tidemark.sock" */
    char *certificate; /* path; "": no TLS */
    char *key;         /* path */
    char *client_ca;   /* path; "": clients show no certificate */
    int64_t client_certificate;
    int64_t auth;
    int64_t roles; /* the most that anybody may do there; 0: what the listener's place allows */
};

/* One credential: exactly one of the four secrets is given. */
struct config_user {
    char *user;
    char *tenant;   /* never "" */
    char *password; /* a hash of crypt(3) */
    char *password_file;
    char *token; /* or "sha256:" and its digest in hexadecimal */
    char *token_file;
    int64_t roles; /* never 0 */
};

struct config_origin {
    char *text; /* "*", "null", "https://grafana.example"; a host may begin with "*." */
};

struct config_storage {
    int64_t retention_ms; /* > 0; CONFIG_FOREVER_MS: nothing goes by age */
    int64_t chunk_encoding;
    int64_t out_of_order_ms; /* 0: nothing late is kept */
    int64_t duplicates;      /* enum config_duplicates */
    int64_t head_chunk_timeout_ms;
    int64_t checkpoint_interval_ms;
    int64_t checkpoint_dirty_series_limit;
    int64_t series_sync;
    double min_shrink_ratio; /* 0..1 */
    int64_t memory_target_bytes;
    int64_t min_free_bytes;
    int64_t disk_low_bytes; /* 0: no bound */
    int64_t clock_slack_ms; /* CONFIG_FOREVER_MS: the clock is never doubted */
};

struct config_retention {
    double hold_share;
    int64_t hold_least_bytes;
    int64_t undelete_hold_ms; /* CONFIG_FOREVER_MS: until the rules change */
};

struct config_trash {
    int64_t ttl_ms; /* CONFIG_FOREVER_MS: nothing goes by itself */
};

enum config_wal_sync {
    CONFIG_WAL_OFF, /* as enum wal_sync of disk/wal.h */
    CONFIG_WAL_NEVER,
    CONFIG_WAL_INTERVAL,
    CONFIG_WAL_ALWAYS,
};

struct config_wal {
    int64_t sync;
    int64_t interval_ms;
    int64_t replay_target_ms;
    int64_t max_size_bytes;
};

struct config_query {
    int64_t timeout_ms;
    int64_t max_samples;
    int64_t memory_bytes; /* of all queries together */
    int64_t max_points;   /* a range query's points per series */
    int64_t max_series;
    int64_t max_length_bytes; /* of the query's text */
    int64_t concurrency;
    int64_t lookback_ms;
    int64_t experimental;       /* 0: not allowed */
    int64_t log_slower_than_ms; /* 0: none */
};

struct config_limits {
    int64_t future_ms; /* samples later than now + this are refused */
    int64_t labels_per_series;
    int64_t label_name_bytes;
    int64_t label_value_bytes;
    int64_t series;
    int64_t total_series;   /* archived ones too */
    int64_t script_time_ms; /* of one answer of a rule */
    int64_t script_memory_bytes;
    int64_t script_timer_time_ms; /* of one run of a timer */
    int64_t script_errors;        /* in a row, then a rule is suspended */
};

struct config_push {
    char *graphite_listen; /* address; "": none */
    int64_t group_series;
};

struct config_tenants {
    char *label; /* "" is none */
};

struct config_console {
    char *socket;           /* "": in the data folder; "off": none */
    char *read_only_socket; /* "": none */
    int64_t connections;
    int64_t time_ms;
};

struct config_alerts {
    char *webhooks; /* URLs with commas between; "" is none */
    char *url;      /* of this server; "": its first listener's */
    int64_t timeout_ms;
    int64_t resend_ms;
};

struct config_http {
    int64_t workers; /* 0: as many as processors, at most 8 */
    int64_t connections;
    int64_t header_bytes;
    int64_t body_bytes;         /* as it comes over the wire */
    int64_t decompressed_bytes; /* after gzip or snappy */
    int64_t all_bodies_bytes;   /* memory of all that are being taken */
    int64_t header_timeout_ms;
    int64_t body_timeout_ms;
    int64_t idle_timeout_ms;  /* between requests of a kept connection */
    int64_t drain_timeout_ms; /* at shutdown, for requests under way */
    struct config_user *users;
    size_t users_count;
    struct config_origin *cors_origins;
    size_t cors_origins_count;
    int64_t connections_per_client;
    int64_t requests_per_client; /* queries that wait or run */
};

struct config {
    struct config_listener *listen; /* never empty */
    size_t listen_count;
    char *data;           /* folder */
    char *scripts;        /* folder; "" is none */
    int64_t log_level;    /* enum log_level */
    int64_t log_format;   /* enum log_format */
    int64_t log_requests; /* enum config_log_requests */
    int64_t log_slow_request_ms;
    int64_t log_requests_per_second;
    struct config_storage storage;
    struct config_retention retention;
    struct config_trash trash;
    struct config_wal wal;
    struct config_query query;
    struct config_limits limits;
    struct config_push push;
    struct config_tenants tenants;
    struct config_alerts alerts;
    struct config_console console;
    struct config_http http;

    char **origins; /* per key, in the schema's order: "default", "config.lua:12", "--data" */
};

/**
 * Reads a configuration file; what it leaves out is at its default.
 *
 * @param path  NULL: defaults only
 * @return 0 with *config to be destroyed, or -1 with err (nothing to destroy): ERR_IO (no such
 *         file), ERR_INVALID; text as `config.lua:12: storage.retention "15x": not a duration
 *         (try "15d")`. All other mistakes follow it, one line each, as far as err has room.
 */
TIDE_NODISCARD int config_load(const char *path, struct config *config, struct error *err);
/**
 * Sets a key from the text of a flag; it wins over the file.
 *
 * @param flag  for messages and --print, such as "--data"; copied
 * @param text  as in config.lua without quotes: 15d, 2GiB, 5000, true; listen: may be repeated, the
 *              first flag replaces the file's list, others add to it
 * @return 0, or -1 with err: ERR_INVALID (`--set storage.retention "15x": not a duration ...`),
 *         then config is unchanged
 */
TIDE_NODISCARD int config_set(struct config *config, const char *flag, const char *key,
                              const char *text, struct error *err);
/** Appends the effective values as a valid config.lua whose comments say where each is from. */
void config_print(const struct config *config, struct buf *out);
/** Appends a line for each key: its name, its value as Lua, its origin, with tabs between;
 * passwords and tokens are not shown. What may change while the server runs is taken from `now`. */
void config_list(const struct config *config, const struct config *now, struct buf *out);
/**
 * Appends the names of keys whose values differ, with blanks between; without those of `except`.
 *
 * @param except  ends with NULL
 */
void config_differences(const struct config *a, const struct config *b, const char *const *except,
                        struct buf *names);
/** Safe on a zeroed or destroyed config. */
void config_destroy(struct config *config);

#endif
