/* ruleset.c - see ruleset.h. */
#include "script/ruleset.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/mem.h"
#include "promql/parse.h"
#include "script/declared.h"
#include "script/sandbox.h"
#include "store/policy.h"

#define MAX_FILES 1000
#define MAX_FILE_BYTES ((size_t)1 << 20)
#define MAX_RULES 10000

const char *rule_hook_name(enum rule_hook hook)
{
    static const char *const names[RULE_HOOKS] = {
        "retention", "admit",      "quarantine", "query", "result",
        "func",      "every",      "record",     "alert", "on",
        "command",   "downsample", "transform",  "limit", "disk_pressure"};

    return names[hook];
}

/* --- reading -------------------------------------------------------------------------------------
 */

static int read_source(const char *path, struct buf *source, struct error *err)
{
    FILE *file = fopen(path, "rbe");
    size_t got;

    if (file == NULL)
        return error_set_errno(err, "cannot read %s", path);
    do {
        got = fread(buf_reserve(source, 4096), 1, 4096, file);
        source->len += got;
    } while (got == 4096 && source->len <= MAX_FILE_BYTES);
    if (ferror(file)) {
        error_set_errno(err, "cannot read %s", path);
        fclose(file);
        return -1;
    }
    fclose(file);
    if (source->len > MAX_FILE_BYTES)
        return error_set(err, ERR_LIMIT, "%s: larger than 1 MiB", path);
    return 0;
}

static bool ends_in(const char *name, const char *ending)
{
    size_t len = strlen(name), ending_len = strlen(ending);

    return len > ending_len && name[0] != '.' && strcmp(name + len - ending_len, ending) == 0;
}

/* What of a folder is read. */
enum wanted { WANTED_SCRIPTS, WANTED_LIBRARIES, WANTED_TESTS };

static bool is_wanted(const char *name, enum wanted wanted)
{
    bool is_test = ends_in(name, "_test.lua");

    return wanted == WANTED_LIBRARIES ? ends_in(name, ".lua")
           : wanted == WANTED_TESTS   ? is_test
                                      : ends_in(name, ".lua") && !is_test;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct script_file *)a)->name, ((const struct script_file *)b)->name);
}

static void clear_file(struct script_file *file)
{
    mem_free(file->name);
    mem_free(file->chunk_name);
    buf_destroy(&file->source);
}

void script_files_free(struct script_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        clear_file(&files[i]);
    mem_free(files);
}

static int read_one(const char *folder, const char *name, struct script_file *file,
                    struct error *err)
{
    struct buf path = {0};
    int result;

    buf_printf(&path, "@%s/%s", folder, name);
    buf_putc(&path, '\0');
    file->name = mem_dup(name, strlen(name));
    file->chunk_name = mem_dup(path.data, path.len - 1);
    result = read_source(file->chunk_name + 1, &file->source, err);
    buf_destroy(&path);
    return result;
}

/* Reads what is wanted of a folder; one of libraries need not exist. */
static int read_folder(const char *folder, enum wanted wanted, struct script_file **files,
                       size_t *count, struct error *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int result = 0;

    if (dir == NULL && errno == ENOENT && wanted == WANTED_LIBRARIES)
        return 0;
    if (dir == NULL)
        return error_set_errno(err, "cannot read the scripts in %s", folder);
    while (result == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
        if (!is_wanted(entry->d_name, wanted))
            continue;
        if (*count == MAX_FILES) {
            result = error_set(err, ERR_LIMIT, "%s: more than %d scripts", folder, MAX_FILES);
            break;
        }
        *files = mem_realloc(*files, (*count + 1) * sizeof(**files));
        (*files)[*count] = (struct script_file){0};
        result = read_one(folder, entry->d_name, &(*files)[(*count)++], err);
    }
    if (result == 0 && errno != 0)
        result = error_set_errno(err, "cannot read the scripts in %s", folder);
    closedir(dir);
    if (*count > 1)
        qsort(*files, *count, sizeof(**files), compare_files);
    return result;
}

static uint64_t hash_text(uint64_t hash, const void *text, size_t len)
{
    const uint8_t *bytes = text;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash * UINT64_C(0x100000001b3); /* an end, too */
}

static uint64_t hash_files(uint64_t hash, const struct script_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash = hash_text(hash, files[i].name, strlen(files[i].name));
        hash = hash_text(hash, files[i].source.data, files[i].source.len);
    }
    return hash;
}

uint64_t ruleset_retention(const struct ruleset *set)
{
    if (set->hook_count[RULE_RETENTION] == 0 && set->hook_count[RULE_DOWNSAMPLE] == 0)
        return 0;
    return TIDE_MAX(set->source_hash, (uint64_t)1);
}

int script_files_read_tests(const char *folder, struct script_file **files, size_t *count,
                            struct error *err)
{
    *files = NULL;
    *count = 0;
    if (read_folder(folder, WANTED_TESTS, files, count, err) == 0)
        return 0;
    script_files_free(*files, *count);
    return -1;
}

/* Whether the line of `only` that begins at `line` names the file. */
static bool is_named(const char *line, size_t len, const struct script_file *file)
{
    return strlen(file->name) == len + strlen(".lua") && memcmp(file->name, line, len) == 0;
}

/* Leaves the files that `only` names. */
static int keep_only(struct ruleset *set, const char *folder, const char *only, struct error *err)
{
    bool *named = mem_zalloc(set->file_count + 1, sizeof(*named));
    size_t kept = 0;
    int result = 0;

    for (const char *line = only; *line != '\0' && result == 0;) {
        size_t len = strcspn(line, "\n"), at = 0;

        while (at < set->file_count && !is_named(line, len, &set->files[at]))
            at++;
        if (at == set->file_count)
            result = error_set(err, ERR_NOT_FOUND, "%s: there is no script '%.*s'", folder,
                               (int)TIDE_MIN(len, (size_t)100), line);
        else
            named[at] = true;
        line += len + (line[len] == '\n');
    }
    for (size_t i = 0; i < set->file_count && result == 0; i++) {
        if (named[i])
            set->files[kept++] = set->files[i];
        else
            clear_file(&set->files[i]);
    }
    if (result == 0)
        set->file_count = kept;
    mem_free(named);
    return result;
}

struct ruleset *ruleset_read(const char *folder, const char *only, struct error *err)
{
    struct ruleset *set = mem_zalloc(1, sizeof(*set));
    struct buf library = {0};

    set->references = 1;
    if (folder[0] == '\0') {
        set->rules = mem_zalloc(1, sizeof(*set->rules));
        return set;
    }
    buf_printf(&library, "%s/lib", folder);
    buf_putc(&library, '\0');
    if (read_folder(folder, WANTED_SCRIPTS, &set->files, &set->file_count, err) == -1 ||
        read_folder((char *)library.data, WANTED_LIBRARIES, &set->libraries, &set->library_count,
                    err) == -1 ||
        (only != NULL && keep_only(set, folder, only, err) == -1)) {
        ruleset_unref(set);
        set = NULL;
    }
    buf_destroy(&library);
    if (set != NULL && set->file_count == 0) /* nothing is loaded: it is complete */
        set->rules = mem_zalloc(1, sizeof(*set->rules));
    for (size_t i = 0; set != NULL && i < set->library_count; i++) {
        char *name = set->libraries[i].name;

        name[strlen(name) - strlen(".lua")] = '\0';
    }
    if (set != NULL)
        set->source_hash =
            hash_files(hash_files(UINT64_C(0xcbf29ce484222325), set->files, set->file_count),
                       set->libraries, set->library_count);
    return set;
}

struct ruleset *ruleset_ref(struct ruleset *set)
{
    __atomic_add_fetch(&set->references, 1, __ATOMIC_RELAXED);
    return set;
}

static void free_pairs(struct rule_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(pairs[i].name);
        mem_free(pairs[i].value);
    }
    mem_free(pairs);
}

static void free_rules(struct ruleset *set)
{
    for (size_t i = 0; i < set->rule_count; i++) {
        struct rule *rule = &set->rules[i];

        mem_free(rule->title);
        mem_free(rule->script);
        for (size_t j = 0; j < rule->matcher_count; j++)
            matcher_destroy(&rule->matchers[j]);
        mem_free(rule->matchers);
        mem_free(rule->text);
        mem_free(rule->metric);
        free_pairs(rule->labels, rule->label_count);
        free_pairs(rule->notes, rule->note_count);
        declared_free(rule);
    }
    mem_free(set->rules);
    mem_free((void *)set->functions.rows);
    mem_free(set->transforms);
    mem_free(set->limits);
    for (size_t i = 0; i < RULE_HOOKS; i++)
        mem_free(set->by_hook[i]);
}

void ruleset_unref(struct ruleset *set)
{
    if (set == NULL || __atomic_sub_fetch(&set->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    free_rules(set);
    script_files_free(set->files, set->file_count);
    script_files_free(set->libraries, set->library_count);
    mem_free(set);
}

const struct script_file *ruleset_library(const struct ruleset *set, const char *name)
{
    for (size_t i = 0; i < set->library_count; i++) {
        if (strcmp(set->libraries[i].name, name) == 0)
            return &set->libraries[i];
    }
    return NULL;
}

size_t ruleset_index(const struct ruleset *set, const struct rule *rule)
{
    return (size_t)(rule - set->rules);
}

/* --- loading -------------------------------------------------------------------------------------
 */

void ruleset_load_file_raises(lua_State *L, const char *library, const struct script_file *file)
{
    int names;

    sandbox_require_raises(L, library);
    lua_getfield(L, -1, "names");
    lua_call(L, 0, 1);
    names = lua_gettop(L);
    sandbox_load_raises(L, (const char *)file->source.data, file->source.len, file->chunk_name,
                        names);
    lua_replace(L, names - 1);
    lua_settop(L, names - 1);
}

/* Field `name` of the table on top, as text; borrowed from it. */
static const char *text_field(lua_State *L, const char *name, size_t *len)
{
    const char *text;

    lua_getfield(L, -1, name);
    text = luaL_checklstring(L, -1, len);
    lua_pop(L, 1);
    return text;
}

/* Element `i` of the table on top, as text; borrowed from it. */
static const char *text_at(lua_State *L, int i, size_t *len)
{
    const char *text;

    lua_rawgeti(L, -1, i);
    text = luaL_checklstring(L, -1, len);
    lua_pop(L, 1);
    return text;
}

static enum rule_hook hook_of(lua_State *L, const char *name)
{
    for (size_t i = 0; i < RULE_HOOKS; i++) {
        if (strcmp(name, rule_hook_name((enum rule_hook)i)) == 0)
            return (enum rule_hook)i;
    }
    luaL_error(L, "no hook '%s'", name);
    return RULE_HOOKS;
}

/* The matchers of the list on top of the stack. */
static void take_matchers_raises(lua_State *L, struct rule *rule)
{
    size_t count = lua_objlen(L, -1);
    struct error err;

    rule->matchers = mem_zalloc(count + 1, sizeof(*rule->matchers));
    for (size_t i = 1; i <= count; i++) {
        size_t name_len;
        size_t value_len;
        const char *name;
        const char *value;
        int type;

        lua_rawgeti(L, -1, (int)i);
        name = text_at(L, 1, &name_len);
        lua_rawgeti(L, -1, 2);
        type = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
        value = text_at(L, 3, &value_len);
        if (matcher_init(&rule->matchers[rule->matcher_count], (enum matcher_type)type, name,
                         name_len, value, value_len, NULL, &err) == -1)
            luaL_error(L, "%s", err.text);
        rule->matcher_count++;
        lua_pop(L, 1);
    }
}

/* A copy of field `name` of the table on top; NULL when it is not there. */
static char *optional_text_raises(lua_State *L, const char *name)
{
    char *copy = NULL;

    lua_getfield(L, -1, name);
    if (!lua_isnil(L, -1)) {
        size_t len;
        const char *text = luaL_checklstring(L, -1, &len);

        copy = mem_dup(text, len);
    }
    lua_pop(L, 1);
    return copy;
}

static int64_t optional_ms_raises(lua_State *L, const char *name)
{
    int64_t ms;

    lua_getfield(L, -1, name);
    ms = (int64_t)luaL_optnumber(L, -1, 0);
    lua_pop(L, 1);
    return ms;
}

/* Field `name` of the table on top: a list of { name, value }. */
static void take_pairs_raises(lua_State *L, const char *name, struct rule_pair **pairs,
                              size_t *count)
{
    size_t there;

    lua_getfield(L, -1, name);
    there = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    *pairs = mem_zalloc(there + 1, sizeof(**pairs));
    for (size_t i = 0; i < there; i++) {
        size_t len;
        const char *text;

        lua_rawgeti(L, -1, (int)i + 1);
        *count = i + 1;
        text = text_at(L, 1, &len);
        (*pairs)[i].name = mem_dup(text, len);
        text = text_at(L, 2, &len);
        (*pairs)[i].value = mem_dup(text, len);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* What rules besides the deciding ones have. */
static void take_more_raises(lua_State *L, struct rule *rule)
{
    lua_getfield(L, -1, "decide");
    rule->has_function = lua_isfunction(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, -1, "asks_match");
    rule->asks_match = lua_toboolean(L, -1);
    lua_pop(L, 1);
    rule->after_ms = optional_ms_raises(L, "after_ms");
    rule->every_ms = optional_ms_raises(L, "every_ms");
    rule->hold_ms = optional_ms_raises(L, "hold_ms");
    rule->keep_firing_ms = optional_ms_raises(L, "keep_firing_ms");
    rule->text = optional_text_raises(L, "text");
    rule->metric = optional_text_raises(L, "metric");
    take_pairs_raises(L, "labels", &rule->labels, &rule->label_count);
    take_pairs_raises(L, "notes", &rule->notes, &rule->note_count);
    declared_take_raises(L, rule);
}

/* The rule whose table is on top of the stack, into a zeroed struct that the set owns already. */
static void take_rule_raises(lua_State *L, struct rule *rule)
{
    size_t len;
    const char *text = text_field(L, "hook", &len);

    rule->hook = hook_of(L, text);
    text = text_field(L, "title", &len);
    rule->title = mem_dup(text, len);
    text = text_field(L, "script", &len);
    rule->script = mem_dup(text, len);
    lua_getfield(L, -1, "line");
    rule->line = (int)luaL_checkinteger(L, -1);
    lua_getfield(L, -2, "keep_ms");
    if (lua_isnumber(L, -1)) {
        double keep_ms = lua_tonumber(L, -1);

        rule->keep_ms = isinf(keep_ms) || keep_ms >= 9e18 ? RETENTION_FOREVER : (int64_t)keep_ms;
    }
    lua_getfield(L, -3, "match");
    if (lua_istable(L, -1))
        take_matchers_raises(L, rule);
    lua_pop(L, 3);
    take_more_raises(L, rule);
}

static void sort_by_hook(struct ruleset *set)
{
    for (size_t hook = 0; hook < RULE_HOOKS; hook++)
        set->by_hook[hook] = mem_zalloc(set->rule_count + 1, sizeof(*set->by_hook[hook]));
    for (size_t i = 0; i < set->rule_count; i++) {
        struct rule *rule = &set->rules[i];

        set->by_hook[rule->hook][set->hook_count[rule->hook]++] = rule;
    }
}

static enum expr_type type_of_word(const char *word)
{
    return word[0] == 'r' ? EXPR_TYPE_RANGE : word[0] == 'v' ? EXPR_TYPE_VECTOR : EXPR_TYPE_SCALAR;
}

/* The rows that the parser sees of func rules. */
static void make_functions(struct ruleset *set)
{
    size_t count = set->hook_count[RULE_FUNC];
    struct function_row *rows = mem_zalloc(count + 1, sizeof(*rows));

    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = set->by_hook[RULE_FUNC][i];
        size_t args = 0;

        rows[i].name = rule->title;
        rows[i].id = FUNCTION_FIRST_ADDED + (uint32_t)i;
        rows[i].returns = EXPR_TYPE_VECTOR;
        for (const char *at = rule->text; at != NULL && args < FUNCTION_MAX_ARGS;) {
            rows[i].args[args++] = type_of_word(at);
            at = strchr(at, ',');
            at = at != NULL ? at + 1 : NULL;
        }
    }
    set->functions = (struct function_set){rows, count};
}

/* That queries of rules are PromQL, with the functions that rules add; found while scripts load and
 * not an hour later. */
static void check_queries_raises(lua_State *L, const struct ruleset *set)
{
    const struct promql_options options = {.functions = &set->functions};

    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rule *rule = &set->rules[i];
        struct query_tree *tree;
        struct error err;

        if (rule->hook != RULE_RECORD && rule->hook != RULE_ALERT)
            continue;
        tree = promql_parse(rule->text, strlen(rule->text), &options, NULL, &err);
        if (tree == NULL)
            luaL_error(L, "%s:%d: tide.%s \"%s\": expr: %s", rule->script, rule->line,
                       rule_hook_name(rule->hook), rule->title, err.text);
        query_tree_free(tree);
    }
}

/* Fills set->rules from the list on top of the stack. */
static void take_rules_raises(lua_State *L, struct ruleset *set)
{
    size_t count = lua_objlen(L, -1);

    if (count > MAX_RULES)
        luaL_error(L, "more than %d rules", MAX_RULES);
    set->rules = mem_zalloc(count + 1, sizeof(*set->rules));
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, (int)i);
        set->rule_count++;
        take_rule_raises(L, &set->rules[i - 1]);
        lua_pop(L, 1);
    }
    sort_by_hook(set);
    make_functions(set);
    declared_gather(set);
    check_queries_raises(L, set);
}

/* That another state of the same sources registered the same rules. */
static void compare_rules_raises(lua_State *L, const struct ruleset *set)
{
    if (lua_objlen(L, -1) != set->rule_count)
        luaL_error(L, "the scripts register other rules each time they are loaded");
    for (size_t i = 0; i < set->rule_count; i++) {
        size_t len;

        lua_rawgeti(L, -1, (int)i + 1);
        if (strcmp(text_field(L, "title", &len), set->rules[i].title) != 0)
            luaL_error(L, "the scripts register other rules each time they are loaded");
        lua_pop(L, 1);
    }
}

void ruleset_load_raises(lua_State *L, struct ruleset *set, const struct script_file **current)
{
    int rules;
    size_t count;

    for (size_t i = 0; i < set->file_count; i++) {
        *current = &set->files[i];
        ruleset_load_file_raises(L, "tidemark.tide", &set->files[i]);
        lua_call(L, 0, 0);
    }
    *current = NULL;
    sandbox_require_raises(L, "tidemark.tide");
    lua_getfield(L, -1, "loaded");
    lua_call(L, 0, 0);
    lua_getfield(L, -1, "rules");
    rules = lua_gettop(L);
    if (set->rules == NULL)
        take_rules_raises(L, set);
    else
        compare_rules_raises(L, set);
    count = lua_objlen(L, rules);
    lua_newtable(L);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, rules, (int)i);
        lua_getfield(L, -1, "decide");
        lua_rawseti(L, rules + 1, (int)i);
        lua_pop(L, 1);
    }
}
