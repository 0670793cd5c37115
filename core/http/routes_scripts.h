/* routes_scripts.h - the operator's scripts over HTTP: reload, and what each rule has done. */
#ifndef TIDE_HTTP_ROUTES_SCRIPTS_H
#define TIDE_HTTP_ROUTES_SCRIPTS_H

#include "http/http_reply.h"
#include "http/http_request.h"

/** /-/reload: 200, or 500 with the place of the mistake, and nothing has changed. */
void route_reload(struct http_request *request, struct http_reply *reply);
/** /api/v1/status/scripts: {"version":N,"rules":[...]} as rulebook_describe says. */
void route_scripts(struct http_request *request, struct http_reply *reply);

/** /api/v1/rules: recording and alerting rules, in Prometheus' form; type=alert|record. */
void route_rules(struct http_request *request, struct http_reply *reply);
/** /api/v1/alerts: pending and firing alerts, in Prometheus' form. */
void route_alerts(struct http_request *request, struct http_reply *reply);

#endif
