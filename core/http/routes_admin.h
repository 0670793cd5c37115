/* routes_admin.h - /api/v1/admin/tsdb/...: deletes and their way back, snapshots, the clock
 * (docs/operations.md, http-protocols 4). All on the query pool, for admins.
 *
 * A credential of one tenant deletes that tenant's series only, and does nothing else here. */
#ifndef TIDE_HTTP_ROUTES_ADMIN_H
#define TIDE_HTTP_ROUTES_ADMIN_H

#include "http/http_request.h"

/* POST match[], start, end, dry_run: 204 with Tidemark-Trash-Id, or the counts of a dry run. */
void route_delete_series(struct http_request *request, struct http_reply *reply);
/* POST id: what came back. */
void route_undelete(struct http_request *request, struct http_reply *reply);
/* GET: the list. DELETE id (or all=true): gone for good. */
void route_trash(struct http_request *request, struct http_reply *reply);
void route_trash_delete(struct http_request *request, struct http_reply *reply);
/* POST: deleted and late samples go into the series files now. */
void route_clean_tombstones(struct http_request *request, struct http_reply *reply);

/* POST skip_head: makes one. GET: the list. DELETE name: removes one. */
void route_snapshot(struct http_request *request, struct http_reply *reply);
void route_snapshot_list(struct http_request *request, struct http_reply *reply);
void route_snapshot_delete(struct http_request *request, struct http_reply *reply);
/* The same as VictoriaMetrics has them: /snapshot/create, list, delete, delete_all. */
void route_vm_snapshot_create(struct http_request *request, struct http_reply *reply);
void route_vm_snapshot_list(struct http_request *request, struct http_reply *reply);
void route_vm_snapshot_delete(struct http_request *request, struct http_reply *reply);
void route_vm_snapshot_delete_all(struct http_request *request, struct http_reply *reply);

/* POST scripts, match[], format: what the next pass of retention would drop, by rule. */
void route_plan(struct http_request *request, struct http_reply *reply);

/* GET match[] or fingerprint, start, end, limit: the chunks of series, one by one. */
void route_chunks(struct http_request *request, struct http_reply *reply);
/* GET limit: what is in orphaned/; with fingerprint: the chunks of that file. */
void route_quarantined(struct http_request *request, struct http_reply *reply);

/* POST session, the line as body: server-sent events. POST session, cursor: completion. DELETE
 * session. */
void route_console(struct http_request *request, struct http_reply *reply);
void route_console_complete(struct http_request *request, struct http_reply *reply);
void route_console_close(struct http_request *request, struct http_reply *reply);

/* GET: what is held, for the clock is doubted or a pass would drop too much. POST with its id: that
 * is right and goes on; without one, the clock is right. */
void route_holds(struct http_request *request, struct http_reply *reply);
void route_confirm(struct http_request *request, struct http_reply *reply);

#endif
