#include "http/http_server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <http_parser.h>

#include "base/logger.h"
#include "base/mem.h"
#include "http/acceptor.h"
#include "http/access.h"
#include "http/access_log.h"
#include "http/clients.h"
#include "http/desk.h"
#include "http/graphite_door.h"
#include "http/http_site.h"
#include "http/listener.h"
#include "http/metadata_table.h"
#include "http/push_gateway.h"
#include "http/query_pool.h"
#include "http/tls.h"
#include "http/worker.h"
#include "script/config.h"

/* Compiled regular expressions that are kept. */
#define REGEXES 1024
/* Kept of the types, helps and units that pushes tell. */
#define METADATA_BYTES ((size_t)16 << 20)
/* Passwords are tried so many at once, and so many may wait. */
#define LOGIN_THREADS 2
#define LOGIN_QUEUE 256
/* What a sample of a query takes. */
#define SAMPLE_BYTES 16
/* Descriptors that are not connections: files of the store, listeners, loops. */
#define OTHER_DESCRIPTORS 256

struct http_server {
    struct http_site site;
    struct listener *listeners;
    size_t listener_count;
    struct worker **workers;
    size_t worker_count;
    struct acceptor *acceptor;
    struct graphite_door *graphite; /* NULL: not configured */
};

/* --- options -----------------------------------------------------------------------------------
 */

void http_options_init(struct http_options *options)
{
    static const struct config_origin anybody = {.text = (char *)"*"};

    *options = (struct http_options){
        .origins = &anybody,
        .origin_count = 1,
        .connections = 512,
        .client_connections = 256,
        .client_queries = 256,
        .log_requests = CONFIG_LOG_ERRORS,
        .log_slow_ms = 10000,
        .log_lines_per_second = 20,
        .header_bytes = 64 << 10,
        .body_bytes = 64 << 20,
        .all_bodies_bytes = 512 << 20,
        .decompressed_bytes = 256 << 20,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 60000,
        .idle_timeout_ms = 300000,
        .drain_timeout_ms = 10000,
        .query_threads = 20,
        .query_queue = 1000,
        .query_timeout_ms = 120000,
        .query_max_samples = 50000000,
        .query_memory_bytes = (size_t)4 << 30,
        .query_max_series = 1000000,
        .query_max_points = 11000,
        .query_max_bytes = 64 << 10,
        .query_lookback_ms = 300000,
        .query_experimental = true,
        .group_series = 100000,
        .version = "unknown",
    };
}

void http_options_configure(struct http_options *options, const struct config *config)
{
    options->config = config;
    options->listen = config->listen;
    options->listen_count = config->listen_count;
    options->users = config->http.users;
    options->user_count = config->http.users_count;
    options->origins = config->http.cors_origins;
    options->origin_count = config->http.cors_origins_count;
    options->client_connections = (size_t)config->http.connections_per_client;
    options->client_queries = (size_t)config->http.requests_per_client;
    options->log_requests = config->log_requests;
    options->log_slow_ms = config->log_slow_request_ms;
    options->log_lines_per_second = config->log_requests_per_second;
    options->workers = (size_t)config->http.workers;
    options->connections = (size_t)config->http.connections;
    options->header_bytes = (size_t)config->http.header_bytes;
    options->body_bytes = (size_t)config->http.body_bytes;
    options->all_bodies_bytes = (size_t)config->http.all_bodies_bytes;
    options->decompressed_bytes = (size_t)config->http.decompressed_bytes;
    options->header_timeout_ms = config->http.header_timeout_ms;
    options->body_timeout_ms = config->http.body_timeout_ms;
    options->idle_timeout_ms = config->http.idle_timeout_ms;
    options->drain_timeout_ms = config->http.drain_timeout_ms;
    options->graphite_listen = config->push.graphite_listen;
    options->group_series = (size_t)config->push.group_series;
    options->query_threads = (size_t)config->query.concurrency;
    options->query_timeout_ms = config->query.timeout_ms;
    options->query_max_samples = (size_t)config->query.max_samples;
    options->query_memory_bytes = (size_t)config->query.memory_bytes;
    options->query_max_series = (size_t)config->query.max_series;
    options->query_max_points = (size_t)config->query.max_points;
    options->query_max_bytes = (size_t)config->query.max_length_bytes;
    options->tenant_label = config->tenants.label;
    options->query_lookback_ms = config->query.lookback_ms;
    options->query_experimental = config->query.experimental != 0;
}

/* --- what all share ----------------------------------------------------------------------------
 */

struct store *http_site_store(const struct http_site *site)
{
    return __atomic_load_n(&site->opened, __ATOMIC_ACQUIRE);
}

bool http_site_stopping(const struct http_site *site)
{
    return __atomic_load_n(&site->stopping, __ATOMIC_RELAXED) != 0;
}

int64_t http_site_wall_ms(const struct http_site *site)
{
    return clock_wall_ms(site->clock);
}

static size_t default_workers(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < 1 ? 1 : TIDE_MIN((size_t)processors, (size_t)8);
}

/* Raises the limit on descriptors to what the connections need, or says that it is too low. */
static void provide_descriptors(size_t connections)
{
    struct rlimit limit;
    rlim_t wanted = connections + OTHER_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = TIDE_MIN(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_warn("fewer descriptors than connections are allowed",
                 "http.connections=%zu descriptors=%zu", connections, (size_t)limit.rlim_cur);
}

/* Who wants credentials needs users; who sends passwords in the clear is told so. */
static int check_listeners(const struct config_listener *list, size_t count,
                           const struct auth_users *users, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].auth == CONFIG_AUTH_REQUIRED && users->count == 0)
            return error_set(err, ERR_INVALID,
                             "listen %s: auth = \"required\", but http.users is empty",
                             list[i].address);
    }
    return 0;
}

static int init_door(struct http_site *site, struct error *err)
{
    const struct http_options *options = &site->options;
    struct auth_users *users;

    if (auth_users_new(options->users, options->user_count, &users, err) != 0)
        return -1;
    site->auth = auth_new(users, site->clock);
    site->clients = clients_new();
    site->log = access_log_new(
        &(struct access_log_options){.requests = options->log_requests,
                                     .slow_ns = options->log_slow_ms * INT64_C(1000000),
                                     .lines_per_second = options->log_lines_per_second},
        site->clock);
    site->cors = cors_new(options->origins, options->origin_count);
    return check_listeners(options->listen, options->listen_count, users, err);
}

static int init_site(struct http_site *site, const struct http_options *options, struct error *err)
{
    struct http_routes own = http_routes_all();
    struct http_route *list;

    site->options = *options;
    site->version = mem_dup(options->version, strlen(options->version));
    site->options.version = site->version;
    site->clock = options->clock != NULL ? options->clock : clock_system();
    site->start_ms = clock_wall_ms(site->clock);
    site->regexes = regex_cache_new(REGEXES);
    site->running = options->running;
    site->pot = mem_zalloc(1, sizeof(*site->pot));
    site->pot->most = options->query_memory_bytes / SAMPLE_BYTES;
    list = mem_zalloc(own.count + options->route_count, sizeof(*list));
    memcpy(list, own.list, own.count * sizeof(*list));
    if (options->route_count > 0)
        memcpy(list + own.count, options->routes, options->route_count * sizeof(*list));
    site->routes = (struct http_routes){list, own.count + options->route_count};
    site->counters = http_counters_new(site);
    site->metadata = metadata_table_new(METADATA_BYTES);
    site->reloads = reload_state_new(site->start_ms);
    if (options->console != NULL)
        site->desks = desks_new(&(struct desks_options){.book = options->console,
                                                        .time_ms = options->console_time_ms,
                                                        .clock = site->clock,
                                                        .metrics = options->metrics});
    return init_door(site, err);
}

static void destroy_site(struct http_site *site)
{
    desks_free(site->desks);
    http_counters_free(site->counters);
    auth_free(site->auth);
    cors_free(site->cors);
    access_log_free(site->log);
    mem_free(site->pot);
    clients_free(site->clients);
    metadata_table_free(site->metadata);
    reload_state_free(site->reloads);
    regex_cache_free(site->regexes);
    mem_free((void *)site->routes.list);
    mem_free(site->version);
}

/* --- life --------------------------------------------------------------------------------------
 */

static int open_listeners(struct http_server *server, struct error *err)
{
    const struct http_options *options = &server->site.options;

    server->listeners = mem_zalloc(options->listen_count + 1, sizeof(*server->listeners));
    for (; server->listener_count < options->listen_count; server->listener_count++) {
        if (listener_open(&server->listeners[server->listener_count],
                          &options->listen[server->listener_count], err) != 0) {
            listener_destroy(&server->listeners[server->listener_count]);
            return -1;
        }
    }
    return 0;
}

static bool call_helper(void *ctx, void (*work)(void *arg), void *arg)
{
    return query_pool_help(ctx, work, arg);
}

static int start_threads(struct http_server *server, struct error *err)
{
    struct http_site *site = &server->site;
    size_t count = site->options.workers > 0 ? site->options.workers : default_workers();

    site->pool =
        query_pool_start("query", site->options.query_threads, site->options.query_queue, err);
    if (site->pool == NULL)
        return -1;
    site->helpers = (struct query_helpers){site->pool, default_workers() - 1, call_helper};
    site->login_pool = query_pool_start("login", LOGIN_THREADS, LOGIN_QUEUE, err);
    if (site->login_pool == NULL)
        return -1;
    server->workers = mem_zalloc(count, sizeof(struct worker *));
    for (; server->worker_count < count; server->worker_count++) {
        server->workers[server->worker_count] = worker_start(site, server->worker_count, err);
        if (server->workers[server->worker_count] == NULL)
            return -1;
    }
    site->gateway = gateway_start(site, err);
    if (site->gateway == NULL)
        return -1;
    if (site->options.graphite_listen != NULL && site->options.graphite_listen[0] != '\0') {
        if (site->options.tenant_label != NULL && site->options.tenant_label[0] != '\0')
            return error_set(err, ERR_INVALID,
                             "push.graphite_listen takes lines without credentials, so it cannot "
                             "be used with tenants.label");
        server->graphite = graphite_door_open(site, site->options.graphite_listen, err);
        if (server->graphite == NULL)
            return -1;
    }
    server->acceptor = acceptor_start(site, server->listeners, server->listener_count,
                                      server->workers, server->worker_count, err);
    return server->acceptor != NULL ? 0 : -1;
}

struct http_server *http_server_start(const struct http_options *options, struct error *err)
{
    struct http_server *server = mem_zalloc(1, sizeof(*server));

    http_parser_set_max_header_size((uint32_t)HTTP_HEAD_MAX_BYTES);
    provide_descriptors(options->connections);
    if (init_site(&server->site, options, err) != 0 || open_listeners(server, err) != 0 ||
        start_threads(server, err) != 0) {
        http_server_stop(server);
        return NULL;
    }
    for (size_t i = 0; i < server->listener_count; i++)
        log_info("listening", "address=%s", server->listeners[i].address);
    return server;
}

/* On a thread of the store. */
static void durable_moved(void *ctx)
{
    struct http_server *server = ctx;

    for (size_t i = 0; i < server->worker_count; i++)
        worker_durable_moved(server->workers[i]);
}

void http_server_open(struct http_server *server, struct store *store)
{
    TIDE_ASSERT(store != NULL && http_site_store(&server->site) == NULL);
    store_set_durable_listener(store, durable_moved, server);
    __atomic_store_n(&server->site.opened, store, __ATOMIC_RELEASE);
}

/* Certificates and keys as their files are now: of all listeners, or of none. */
static int reload_certificates(struct http_server *server, struct error *err)
{
    SSL_CTX **made = mem_zalloc(server->listener_count + 1, sizeof(SSL_CTX *));
    int result = 0;

    for (size_t i = 0; i < server->listener_count && result == 0; i++) {
        if (server->listeners[i].tls == NULL)
            continue;
        made[i] = tls_load(&server->site.options.listen[i], err);
        result = made[i] != NULL ? 0 : -1;
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        if (made[i] != NULL && result == 0)
            tls_replace(server->listeners[i].tls, made[i]);
        else
            SSL_CTX_free(made[i]);
    }
    mem_free(made);
    return result;
}

int http_server_reload(struct http_server *server, const struct config *config, struct error *err)
{
    struct http_site *site = &server->site;
    struct auth_users *users;

    if (auth_users_new(config->http.users, config->http.users_count, &users, err) != 0)
        return -1;
    if (check_listeners(site->options.listen, site->options.listen_count, users, err) != 0 ||
        reload_certificates(server, err) != 0) {
        auth_users_unref(users);
        return -1;
    }
    auth_replace(site->auth, users);
    access_log_set(site->log, &(struct access_log_options){
                                  .requests = config->log_requests,
                                  .slow_ns = config->log_slow_request_ms * INT64_C(1000000),
                                  .lines_per_second = config->log_requests_per_second});
    cors_replace(site->cors, config->http.cors_origins, config->http.cors_origins_count);
    return 0;
}

void http_server_reloaded(struct http_server *server, const struct error *err)
{
    reload_state_note(server->site.reloads, http_site_wall_ms(&server->site), err);
}

const char *http_server_address(const struct http_server *server, size_t i)
{
    TIDE_ASSERT(i < server->listener_count);
    return server->listeners[i].address;
}

void http_server_stop(struct http_server *server)
{
    if (server == NULL)
        return;
    __atomic_store_n(&server->site.stopping, 1, __ATOMIC_RELAXED);
    if (server->site.desks != NULL)
        desks_stop(server->site.desks);
    acceptor_stop(server->acceptor);
    graphite_door_close(server->graphite);
    for (size_t i = 0; i < server->listener_count; i++)
        listener_close(&server->listeners[i]);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_drain(server->workers[i]);
    /* Answers that still wait leave all the same: a worker asks at each tick. */
    if (http_site_store(&server->site) != NULL)
        store_set_durable_listener(http_site_store(&server->site), NULL, NULL);
    for (size_t i = 0; i < server->worker_count; i++)
        worker_join(server->workers[i]);
    query_pool_stop(server->site.pool);
    gateway_stop(server->site.gateway);
    query_pool_stop(server->site.login_pool);
    for (size_t i = 0; i < server->listener_count; i++)
        listener_destroy(&server->listeners[i]);
    destroy_site(&server->site);
    mem_free(server->workers);
    mem_free(server->listeners);
    mem_free(server);
}
