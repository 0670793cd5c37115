/* routes_format.c - see routes_format.h. Both only read the query's text. */
#include "http/routes_format.h"

#include "http/http_reply.h"
#include "http/http_site.h"
#include "http/request_params.h"
#include "promql/parse.h"
#include "promql/print.h"
#include "wire/result_json.h"

/* The tree of the parameter "query"; NULL with the reply made. */
static struct query_tree *parse(struct http_request *request, struct http_reply *reply)
{
    struct query_tree *tree;
    struct http_text text;
    struct params params;
    struct error err;
    struct promql_options options = {0};

    if (!request->site->options.query_experimental)
        promql_options_stable(&options);
    if (request_params(request, &params, &err) != 0) {
        http_reply_failure(reply, &err);
        return NULL;
    }
    text = params_get(&params, "query");
    if (text.len > request->site->options.query_max_bytes) {
        error_set(&err, ERR_INVALID, "invalid parameter \"query\": longer than %zu bytes",
                  request->site->options.query_max_bytes);
        http_reply_failure(reply, &err);
        return NULL;
    }
    tree = promql_parse(text.at != NULL ? text.at : "", text.len, &options, request->site->regexes,
                        &err);
    if (tree == NULL) {
        error_note(&err, "invalid parameter \"query\"");
        http_reply_failure(reply, &err);
    }
    return tree;
}

static void begin(struct http_reply *reply)
{
    reply->content_type = HTTP_TYPE_JSON;
    buf_puts(&reply->body, "{\"status\":\"success\",\"data\":");
}

void route_format_query(struct http_request *request, struct http_reply *reply)
{
    struct query_tree *tree = parse(request, reply);
    struct buf text = {0};

    if (tree == NULL)
        return;
    promql_pretty(tree->root, &text);
    begin(reply);
    json_put_string(&reply->body, (const char *)text.data, text.len);
    buf_putc(&reply->body, '}');
    buf_destroy(&text);
    query_tree_free(tree);
}

void route_parse_query(struct http_request *request, struct http_reply *reply)
{
    struct query_tree *tree = parse(request, reply);

    if (tree == NULL)
        return;
    begin(reply);
    promql_print_json(tree->root, &reply->body);
    buf_putc(&reply->body, '}');
    query_tree_free(tree);
}
