/* routes.c - every route of the server in one table (http_request.h). Each path is served below
 * /prometheus too. */
#include "http/http_request.h"
#include "http/push_gateway.h"
#include "http/push_import.h"
#include "http/push_influx.h"
#include "http/push_otlp.h"
#include "http/push_remote_write.h"
#include "http/push_text.h"
#include "http/routes_admin.h"
#include "http/routes_export.h"
#include "http/routes_format.h"
#include "http/routes_labels.h"
#include "http/routes_page.h"
#include "http/routes_query.h"
#include "http/routes_remote_read.h"
#include "http/routes_running.h"
#include "http/routes_scripts.h"
#include "http/routes_status.h"
#include "http/status.h"

#define GET HTTP_VERB_GET
#define POST HTTP_VERB_POST
#define GROUP (HTTP_VERB_PUT | HTTP_VERB_POST | HTTP_VERB_DELETE)
#define PUT HTTP_VERB_PUT
#define ALWAYS HTTP_ROUTE_ALWAYS
#define POOL HTTP_ROUTE_POOL
#define LOGIN HTTP_ROUTE_URL_LOGIN
#define TENANT HTTP_ROUTE_TENANT

/* clang-format off */
static const struct http_route routes[] = {
    /* pattern                      verbs       role              flags   handler */
    {"/api/v1/write",               POST,       HTTP_ROLE_PUSH,   0,      push_remote_write, NULL},
    {"/api/v1/push",                POST,       HTTP_ROLE_PUSH,   0,      push_remote_write, NULL},
    {"/api/v1/import/prometheus",   POST,       HTTP_ROLE_PUSH,   0,      push_exposition, NULL},
    {"/api/v1/import",              POST,       HTTP_ROLE_PUSH,   0,      push_import,
     push_import_take},
    {"/metrics/**",                 GROUP,      HTTP_ROLE_PUSH,   0,      push_gateway, NULL},
    {"/api/v1/import/prometheus/metrics/**", GROUP, HTTP_ROLE_PUSH, 0,    push_gateway, NULL},
    {"/write",                      POST,       HTTP_ROLE_PUSH,   LOGIN,  push_influx_1, NULL},
    {"/influx/write",               POST,       HTTP_ROLE_PUSH,   LOGIN,  push_influx_1, NULL},
    {"/api/v2/write",               POST,       HTTP_ROLE_PUSH,   0,      push_influx_2, NULL},
    {"/influx/api/v2/write",        POST,       HTTP_ROLE_PUSH,   0,      push_influx_2, NULL},
    {"/query",                      GET | POST, HTTP_ROLE_PUSH,   LOGIN,  influx_query, NULL},
    {"/influx/query",               GET | POST, HTTP_ROLE_PUSH,   LOGIN,  influx_query, NULL},
    {"/ping",                       GET,        HTTP_ROLE_NONE,   ALWAYS, influx_ping, NULL},
    {"/v1/metrics",                 POST,       HTTP_ROLE_PUSH,   0,      push_otlp, NULL},
    {"/opentelemetry/v1/metrics",   POST,       HTTP_ROLE_PUSH,   0,      push_otlp, NULL},
    {"/api/v1/otlp/v1/metrics",     POST,       HTTP_ROLE_PUSH,   0,      push_otlp, NULL},

    {"/api/v1/query",               GET | POST, HTTP_ROLE_READ,   POOL,   route_query, NULL},
    {"/api/v1/query_range",         GET | POST, HTTP_ROLE_READ,   POOL,   route_query_range, NULL},
    {"/api/v1/format_query",        GET | POST, HTTP_ROLE_READ,   POOL,   route_format_query, NULL},
    {"/api/v1/parse_query",         GET | POST, HTTP_ROLE_READ,   POOL,   route_parse_query, NULL},
    {"/api/v1/series",              GET | POST, HTTP_ROLE_READ,   POOL,   route_series, NULL},
    {"/api/v1/labels",              GET | POST, HTTP_ROLE_READ,   POOL,   route_labels, NULL},
    {"/api/v1/label/*/values",      GET,        HTTP_ROLE_READ,   POOL,   route_label_values, NULL},
    {"/api/v1/read",                POST,       HTTP_ROLE_READ,   POOL,   route_remote_read, NULL},
    {"/federate",                   GET | POST, HTTP_ROLE_READ,   POOL,   route_federate, NULL},
    {"/api/v1/export",              GET | POST, HTTP_ROLE_READ,   POOL,   route_export, NULL},
    {"/api/v1/metadata",            GET,        HTTP_ROLE_READ,   POOL,   route_metadata, NULL},
    {"/api/v1/query_exemplars",     GET | POST, HTTP_ROLE_READ,   0,      route_nothing, NULL},
    {"/api/v1/targets",             GET,        HTTP_ROLE_READ,   0,      route_nothing, NULL},
    {"/api/v1/targets/metadata",    GET,        HTTP_ROLE_READ,   0,      route_nothing, NULL},
    {"/api/v1/scrape_pools",        GET,        HTTP_ROLE_READ,   0,      route_nothing, NULL},
    {"/api/v1/alertmanagers",       GET,        HTTP_ROLE_READ,   0,      route_nothing, NULL},
    {"/api/v1/notifications",       GET,        HTTP_ROLE_READ,   0,      route_nothing, NULL},
    {"/api/v1/features",            GET,        HTTP_ROLE_READ,   0,      route_nothing, NULL},

    {"/api/v1/status/tsdb",         GET,        HTTP_ROLE_READ,   POOL,   route_tsdb, NULL},
    {"/api/v1/status/runtimeinfo",  GET,        HTTP_ROLE_READ,   0,      route_runtimeinfo, NULL},
    {"/api/v1/status/flags",        GET,        HTTP_ROLE_ADMIN,  0,      route_flags, NULL},
    {"/api/v1/status/config",       GET,        HTTP_ROLE_ADMIN,  0,      route_config, NULL},
    {"/api/v1/status/walreplay",    GET,        HTTP_ROLE_READ,   ALWAYS, route_walreplay, NULL},

    {"/api/v1/admin/tsdb/delete_series", POST | PUT, HTTP_ROLE_ADMIN, POOL | TENANT,
     route_delete_series, NULL},
    {"/api/v1/admin/tsdb/undelete", POST | PUT, HTTP_ROLE_ADMIN,  POOL,   route_undelete, NULL},
    {"/api/v1/admin/tsdb/trash",    GET,        HTTP_ROLE_ADMIN,  POOL,   route_trash, NULL},
    {"/api/v1/admin/tsdb/trash",    HTTP_VERB_DELETE, HTTP_ROLE_ADMIN, POOL, route_trash_delete,
     NULL},
    {"/api/v1/admin/tsdb/clean_tombstones", POST | PUT, HTTP_ROLE_ADMIN, POOL,
     route_clean_tombstones, NULL},
    {"/api/v1/admin/tsdb/snapshot", POST | PUT, HTTP_ROLE_ADMIN,  POOL,   route_snapshot, NULL},
    {"/api/v1/admin/tsdb/snapshot", GET,        HTTP_ROLE_ADMIN,  POOL,   route_snapshot_list, NULL},
    {"/api/v1/admin/tsdb/snapshot", HTTP_VERB_DELETE, HTTP_ROLE_ADMIN, POOL, route_snapshot_delete,
     NULL},
    {"/api/v1/admin/tsdb/plan",     POST | PUT, HTTP_ROLE_ADMIN,  POOL,   route_plan, NULL},
    {"/api/v1/admin/tsdb/confirm",  POST | PUT, HTTP_ROLE_ADMIN,  POOL,   route_confirm, NULL},
    {"/api/v1/admin/tsdb/confirm",  GET,        HTTP_ROLE_ADMIN,  0,      route_holds, NULL},
    {"/api/v1/admin/tsdb/chunks",   GET,        HTTP_ROLE_ADMIN,  POOL,   route_chunks, NULL},
    {"/api/v1/admin/tsdb/quarantined", GET,     HTTP_ROLE_ADMIN,  POOL,   route_quarantined, NULL},
    {"/api/v1/admin/console",       POST,       HTTP_ROLE_ADMIN,  POOL,   route_console, NULL},
    {"/api/v1/admin/console",       HTTP_VERB_DELETE, HTTP_ROLE_ADMIN, POOL, route_console_close,
     NULL},
    {"/api/v1/admin/console/complete", POST,    HTTP_ROLE_ADMIN,  POOL,   route_console_complete,
     NULL},
    {"/snapshot/create",            GET | POST, HTTP_ROLE_ADMIN,  POOL,   route_vm_snapshot_create,
     NULL},
    {"/snapshot/list",              GET,        HTTP_ROLE_ADMIN,  POOL,   route_vm_snapshot_list,
     NULL},
    {"/snapshot/delete",            GET | POST, HTTP_ROLE_ADMIN,  POOL,   route_vm_snapshot_delete,
     NULL},
    {"/snapshot/delete_all",        GET | POST, HTTP_ROLE_ADMIN,  POOL,
     route_vm_snapshot_delete_all, NULL},

    {"/api/v1/status/queries",      GET,        HTTP_ROLE_ADMIN,  ALWAYS, route_queries, NULL},
    {"/api/v1/admin/queries/kill",  POST,       HTTP_ROLE_ADMIN,  ALWAYS, route_kill_query, NULL},
    {"/api/v1/rules",               GET,        HTTP_ROLE_READ,   POOL,   route_rules, NULL},
    {"/api/v1/alerts",              GET,        HTTP_ROLE_READ,   POOL,   route_alerts, NULL},
    {"/-/reload",                   POST | PUT, HTTP_ROLE_ADMIN,  POOL,   route_reload, NULL},
    {"/api/v1/status/scripts",      GET,        HTTP_ROLE_ADMIN,  0,      route_scripts, NULL},
    {"/api/v1/status/buildinfo",    GET,        HTTP_ROLE_READ,   ALWAYS, status_buildinfo, NULL},
    {"/metrics",                    GET,        HTTP_ROLE_READ,   ALWAYS, status_metrics, NULL},
    {"/-/healthy",                  GET,        HTTP_ROLE_NONE,   ALWAYS, status_healthy, NULL},
    {"/-/ready",                    GET,        HTTP_ROLE_NONE,   ALWAYS, status_ready, NULL},
    {"/health",                     GET,        HTTP_ROLE_NONE,   ALWAYS, status_health, NULL},
    {"/",                           GET,        HTTP_ROLE_NONE,   ALWAYS, route_page, NULL},
    {"/graph",                      GET,        HTTP_ROLE_NONE,   ALWAYS, route_page, NULL},
    {"/assets/*",                   GET,        HTTP_ROLE_NONE,   ALWAYS, route_asset, NULL},
};
/* clang-format on */

struct http_routes http_routes_all(void)
{
    return (struct http_routes){routes, TIDE_COUNT(routes)};
}
