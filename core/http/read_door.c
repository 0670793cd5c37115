/* read_door.c - see read_door.h. */
#include "http/read_door.h"

#include "base/mem.h"
#include "http/http_site.h"
#include "http/tenant.h"
#include "promql/ast.h"

/* A field of the request's head as a text of its arena; NULL when it is not there. */
static const char *text_of_field(const struct http_request *request, const char *name)
{
    const struct http_field *field = http_head_field(request->head, name);

    if (field == NULL || field->value.len == 0)
        return NULL;
    return arena_dup(request->arena, field->value.at, field->value.len);
}

void read_door_init(struct read_door *door, const struct http_request *request, enum read_kind kind)
{
    const struct http_options *options = &request->site->options;

    *door = (struct read_door){
        .read =
            {
                .kind = kind,
                .user = request->user,
                .tenant = request->tenant,
                .remote = request->remote,
                .dashboard = text_of_field(request, "X-Dashboard-Uid"),
                .panel = text_of_field(request, "X-Panel-Id"),
                .start_ms = TIDE_EARLIEST_MS,
                .end_ms = TIDE_LATEST_MS,
                .timeout_ms = options->query_timeout_ms,
                .max_samples = (int64_t)options->query_max_samples,
                .max_series = (int64_t)options->query_max_series,
                .max_points = (int64_t)options->query_max_points,
            },
        .request = request,
    };
}

/* --- q.selects: what the selectors find, as far as the rules have narrowed them ----------------
 */

struct count {
    const struct read_door *door;
    const struct querier *querier;
    int64_t from_ms;
    int64_t to_ms;
    uint64_t found;
};

static void count_set(struct count *count, const struct select_request *asked)
{
    struct select_request set = *asked;
    struct selection *selection;
    struct error err;

    set.metadata_only = true;
    set.cancelled = count->door->request->cancelled;
    if (count->querier->select(count->querier->ctx, &set, &selection, &err) == 0) {
        count->found += selection->count;
        count->querier->selection_free(count->querier->ctx, selection);
    } else if (err.code == ERR_LIMIT) {
        count->found += (uint64_t)count->door->read.max_series + 1;
    }
}

static bool count_selector(struct expr *expr, void *ctx)
{
    struct count *count = ctx;

    if (expr->kind == EXPR_SELECTOR)
        count_set(count, &(struct select_request){.matchers = expr->selector.matchers,
                                                  .matcher_count = expr->selector.matcher_count,
                                                  .from_ms = count->from_ms,
                                                  .to_ms = count->to_ms});
    return true;
}

static int64_t earlier(int64_t time_ms, int64_t by_ms)
{
    return time_ms < TIDE_EARLIEST_MS + by_ms ? TIDE_EARLIEST_MS : time_ms - by_ms;
}

static int64_t later(int64_t time_ms, int64_t by_ms)
{
    return time_ms > TIDE_LATEST_MS - by_ms ? TIDE_LATEST_MS : time_ms + by_ms;
}

static void count_tree(struct count *count)
{
    const struct read_request *read = &count->door->read;
    struct query_facts facts;

    query_tree_facts(read->tree, &facts);
    count->from_ms = TIDE_EARLIEST_MS;
    count->to_ms = TIDE_LATEST_MS;
    if (!facts.has_at && !facts.has_computed_duration) {
        int64_t offset_ms = facts.longest_offset_ns / 1000000;

        count->from_ms = earlier(earlier(read->start_ms, facts.longest_range_ns / 1000000),
                                 offset_ms + count->door->request->site->options.query_lookback_ms);
        count->to_ms = later(read->end_ms, offset_ms);
    }
    expr_visit(read->tree->root, count_selector, count);
}

static uint64_t count_series(void *ctx)
{
    struct read_door *door = ctx;
    struct narrowed narrowed;
    struct count count = {.door = door};

    narrowed_init(&narrowed, store_querier(http_site_store(door->request->site)), &door->read,
                  NULL);
    count.querier = &narrowed.querier;
    if (door->read.tree != NULL)
        count_tree(&count);
    for (size_t i = 0; i < door->set_count; i++)
        count_set(&count, &door->sets[i]);
    return count.found;
}

/* --- passing -----------------------------------------------------------------------------------
 */

/* The API's errorType of a status that a rule chose. */
static const char *type_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return "forbidden";
    case 404:
        return "not_found";
    case 422:
        return "execution";
    case 500:
        return "internal";
    default:
        return status < 500 ? "bad_data" : "unavailable";
    }
}

/* The first of the restrictions: what rules count is the tenant's already. */
static void require_label(struct read_request *read, const struct label *label)
{
    struct error err;

    read->restrictions = mem_zalloc(1, sizeof(*read->restrictions));
    TIDE_ASSERT(matcher_init(read->restrictions, MATCH_EQUAL, label->name, label->name_len,
                             label->value, label->value_len, NULL, &err) == 0);
    read->restriction_count = 1;
}

bool read_door_pass(struct read_door *door, struct http_reply *reply)
{
    const struct http_site *site = door->request->site;
    const struct querier *all = store_client_querier(http_site_store(site));
    struct label label;
    struct error err;
    int tenant = tenant_label(door->request, &label, &err);

    if (tenant == -1) {
        http_reply_error(reply, 403, "forbidden", "%s", err.text);
        return false;
    }
    if (tenant == 1)
        require_label(&door->read, &label);
    if (site->options.rules == NULL && tenant == 0) {
        door->querier = all;
        return true;
    }
    door->read.count_ctx = door;
    if (door->read.tree != NULL || door->set_count > 0)
        door->read.count_series = count_series;
    if (site->options.rules != NULL &&
        rulebook_shape(site->options.rules, &door->read, &err) != 0) {
        http_reply_error(reply, door->read.status, type_of_status(door->read.status), "%s",
                         err.text);
        return false;
    }
    narrowed_init(&door->narrowed, all, &door->read, site->options.rules);
    door->querier = &door->narrowed.querier;
    return true;
}

bool read_door_is_empty(const struct read_door *door)
{
    return door->read.start_ms > door->read.end_ms;
}

bool read_door_is_restricted(const struct read_door *door)
{
    return door->read.restriction_count > 0 || door->narrowed.masks != NULL;
}

bool read_door_shows_all(const struct read_door *door)
{
    return !read_door_is_restricted(door) && !read_door_is_empty(door) && !door->read.times_cut;
}

void read_door_top(const struct read_door *door, enum store_top what, size_t limit,
                   struct text_count_list *out)
{
    TIDE_ASSERT(read_door_shows_all(door));
    store_top_get(http_site_store(door->request->site), what, limit, out);
}

void read_door_destroy(struct read_door *door)
{
    read_request_destroy(&door->read);
}
