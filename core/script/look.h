/* look.h - what a console is looking at: results that Lua tables are built from, so that nothing
 * is lost when building raises. Belongs to its actor (act.h). */
#ifndef TIDE_SCRIPT_LOOK_H
#define TIDE_SCRIPT_LOOK_H

#include "script/trace.h"
#include "store/audit.h"
#include "store/chunk_list.h"
#include "store/plan.h"

/* Zeroed is empty. */
struct look {
    struct chunk_list chunks;
    struct quarantine_list quarantine;
    struct removal *trash;
    size_t trash_count;
    struct store_plan plan;
    struct trace trace;
};

void look_clear(struct look *look);

#endif
