/* selectors.h - the parameters of a read by selectors: match[] (any number), start, end, limit.
 *
 * Belongs to the thread that runs the route. */
#ifndef TIDE_HTTP_SELECTORS_H
#define TIDE_HTTP_SELECTORS_H

#include "base/base.h"
#include "base/error.h"
#include "http/http_request.h"
#include "http/params.h"
#include "http/read_door.h"

struct query_tree;

struct selectors {
    struct query_tree **trees;
    struct select_request *sets;
    size_t count;
    int64_t from_ms;
    int64_t to_ms;
    size_t limit; /* 0: none */
    struct params params;
};

/**
 * Reads the parameters, of the URL and of a form.
 *
 * @param metadata_only  labels are wanted, samples will not be read
 * @return 0, or -1 with err: INVALID; selectors_destroy it in both cases
 */
TIDE_NODISCARD int selectors_read(const struct http_request *request, bool metadata_only,
                                  struct selectors *selectors, struct error *err);
/** Sets the times of all sets. */
void selectors_set_range(struct selectors *selectors, int64_t from_ms, int64_t to_ms);
/** Asks the rules; false: refused, the reply is made. */
TIDE_NODISCARD bool selectors_pass(const struct selectors *selectors, struct read_door *door,
                                   struct http_reply *reply);
/** Safe on a zeroed one. */
void selectors_destroy(struct selectors *selectors);

#endif
