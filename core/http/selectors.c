#include "http/selectors.h"

#include "base/mem.h"
#include "http/http_site.h"
#include "http/request_params.h"
#include "promql/parse.h"

static bool is_match(struct http_text name)
{
    return (name.len == 7 && memcmp(name.at, "match[]", 7) == 0) ||
           (name.len == 5 && memcmp(name.at, "match", 5) == 0);
}

static int add_set(const struct http_request *request, bool metadata_only,
                   struct selectors *selectors, struct http_text text, struct error *err)
{
    struct query_tree *tree = promql_parse(text.at, text.len, NULL, request->site->regexes, err);

    if (tree == NULL)
        return error_note(err, "invalid parameter \"match[]\"");
    if (!expr_is_plain_selector(tree->root)) {
        query_tree_free(tree);
        return error_set(err, ERR_INVALID, "invalid parameter \"match[]\": not a series selector");
    }
    selectors->trees[selectors->count] = tree;
    selectors->sets[selectors->count++] = (struct select_request){
        .matchers = tree->root->selector.matchers,
        .matcher_count = tree->root->selector.matcher_count,
        .from_ms = selectors->from_ms,
        .to_ms = selectors->to_ms,
        .max_series = request->site->options.query_max_series,
        .cancelled = request->cancelled,
        .metadata_only = metadata_only,
    };
    return 0;
}

int selectors_read(const struct http_request *request, bool metadata_only,
                   struct selectors *selectors, struct error *err)
{
    struct params *params = &selectors->params;

    selectors->from_ms = TIDE_EARLIEST_MS;
    selectors->to_ms = TIDE_LATEST_MS;
    if (request_params(request, params, err) != 0 ||
        params_count(params, "limit", &selectors->limit, err) != 0 ||
        params_time(params, "start", &selectors->from_ms, err) != 0 ||
        params_time(params, "end", &selectors->to_ms, err) != 0)
        return -1;
    selectors->trees = mem_zalloc(params->count, sizeof(*selectors->trees));
    selectors->sets = mem_zalloc(params->count, sizeof(*selectors->sets));
    for (size_t i = 0; i < params->count; i++) {
        if (is_match(params->list[i].name) &&
            add_set(request, metadata_only, selectors, params->list[i].value, err) != 0)
            return -1;
    }
    return 0;
}

void selectors_set_range(struct selectors *selectors, int64_t from_ms, int64_t to_ms)
{
    selectors->from_ms = from_ms;
    selectors->to_ms = to_ms;
    for (size_t i = 0; i < selectors->count; i++) {
        selectors->sets[i].from_ms = from_ms;
        selectors->sets[i].to_ms = to_ms;
    }
}

bool selectors_pass(const struct selectors *selectors, struct read_door *door,
                    struct http_reply *reply)
{
    door->read.start_ms = selectors->from_ms;
    door->read.end_ms = selectors->to_ms;
    door->sets = selectors->sets;
    door->set_count = selectors->count;
    return read_door_pass(door, reply);
}

void selectors_destroy(struct selectors *selectors)
{
    for (size_t i = 0; i < selectors->count; i++)
        query_tree_free(selectors->trees[i]);
    mem_free(selectors->trees);
    mem_free(selectors->sets);
    *selectors = (struct selectors){0};
}
