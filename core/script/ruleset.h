/* ruleset.h - the operator's scripts as they were read at one moment, and the rules they register.
 *
 * Immutable once ruleset_load was done, reference-counted; shared by all threads, each of which
 * loads the same sources into its own state (core/script/rulebook.c). */
#ifndef TIDE_SCRIPT_RULESET_H
#define TIDE_SCRIPT_RULESET_H

#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "model/matcher.h"
#include "promql/function_table.h"

struct lua_State;
struct rule_stats;

enum rule_hook {
    RULE_RETENTION,
    RULE_ADMIT,
    RULE_QUARANTINE,
    RULE_QUERY,
    RULE_RESULT,
    RULE_FUNC,
    RULE_EVERY,
    RULE_RECORD,
    RULE_ALERT,
    RULE_ON,
    RULE_COMMAND,
    RULE_DOWNSAMPLE,
    RULE_TRANSFORM,
    RULE_LIMIT,
    RULE_DISK_PRESSURE,
    RULE_HOOKS
};

/* "retention", "admit" ...; static. */
const char *rule_hook_name(enum rule_hook hook);

struct rule_pair {
    char *name;
    char *value;
};

struct rule {
    enum rule_hook hook;
    char *title;
    char *script; /* as in messages */
    int line;
    struct matcher *matchers; /* all must accept the series; none: every series */
    size_t matcher_count;
    int64_t keep_ms; /* retention without a function: the answer (RETENTION_FOREVER); else 0 */
    bool has_function;
    bool asks_match;          /* downsample: a function decides which series */
    int64_t after_ms;         /* downsample: age */
    int64_t every_ms;         /* every, record, alert; downsample: a window's width */
    int64_t hold_ms;          /* alert: how long it is pending */
    int64_t keep_firing_ms;   /* alert: how long it goes on without a reason */
    char *text;               /* record, alert: the query; on: the event; func: "range,scalar";
                                 command: its help; downsample: "last" ..., "function";
                                 else NULL */
    char *metric;             /* record: the name; else NULL */
    struct rule_pair *labels; /* record, alert: added; result: the names that may change */
    size_t label_count;
    struct rule_pair *notes; /* alert: annotations, when there is no function for them */
    size_t note_count;
    struct transform_rule *transform; /* of RULE_TRANSFORM, without matchers (declared.h) */
    struct limit_rule *limit;         /* of RULE_LIMIT, likewise */
    struct rule_stats *stats;         /* borrowed; NULL in a set that was only checked */
};

struct script_file {
    char *name;       /* file name, "keep.lua"; of a library without folder and ending */
    char *chunk_name; /* "@FOLDER/keep.lua" */
    struct buf source;
};

struct ruleset {
    int references; /* atomic */
    uint64_t version;
    uint64_t source_hash;      /* of all files, with their names */
    struct script_file *files; /* in order of name */
    size_t file_count;
    struct script_file *libraries;
    size_t library_count;
    struct rule *rules; /* in the order in which they were registered */
    size_t rule_count;
    struct rule **by_hook[RULE_HOOKS]; /* the same, by hook */
    size_t hook_count[RULE_HOOKS];
    struct transform_rule *transforms; /* of RULE_TRANSFORM, in that order, for the store */
    struct limit_rule *limits;         /* of RULE_LIMIT */
    struct function_set functions;     /* of RULE_FUNC, in that order; names are the rules' */
};

/**
 * Reads *.lua of a folder (but *_test.lua) and of its lib/, without running anything.
 *
 * @param folder  "": an empty set
 * @param only    NULL: all of the folder; else names without ".lua", a line feed behind each
 * @return owned reference, or NULL with err: IO (no such folder, unreadable file), LIMIT (sizes),
 *         NOT_FOUND (a name of `only`)
 */
TIDE_NODISCARD struct ruleset *ruleset_read(const char *folder, const char *only,
                                            struct error *err);
/** Reads the folder's *_test.lua, in order of name. @return 0 (script_files_free), or -1 with err:
 * as ruleset_read */
TIDE_NODISCARD int script_files_read_tests(const char *folder, struct script_file **files,
                                           size_t *count, struct error *err);
/** Takes NULL. */
void script_files_free(struct script_file *files, size_t count);
struct ruleset *ruleset_ref(struct ruleset *set);
/** Takes NULL. */
void ruleset_unref(struct ruleset *set);
/** NULL when lib/ has no such file. */
const struct script_file *ruleset_library(const struct ruleset *set, const char *name);
/** Names the set's retention and downsampling: a hash of all sources, for a rule may use any; 0
 * without such rules.
 */
uint64_t ruleset_retention(const struct ruleset *set);
/** The place of a rule in its set. */
size_t ruleset_index(const struct ruleset *set, const struct rule *rule);

#ifndef TIDE_CDEF
/* For the inside of a sandbox_run of a state that binding_open_raises prepared. */

/** Pushes the function of one file, in a fresh environment with what `library` names:
 * tidemark.tide, or tidemark.trial for tests of rules. */
void ruleset_load_file_raises(struct lua_State *L, const char *library,
                              const struct script_file *file);
/**
 * Runs all files. The first state that does so fills set->rules; in later ones they must be the
 * same. Pushes a table of the rules' functions, by index from 1.
 *
 * @param current  out: the file that is running, for errors without a place
 */
void ruleset_load_raises(struct lua_State *L, struct ruleset *set,
                         const struct script_file **current);
#endif

#endif
