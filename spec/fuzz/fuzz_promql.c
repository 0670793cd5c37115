/* fuzz_promql.c - queries: any bytes are parsed or refused; what is printed parses to the same. */
#include <stdlib.h>

#include "promql/parse.h"
#include "promql/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Texts that trees have and queries cannot: info(a, ) for info(a, {}), and durations below a
 * millisecond, which print as 0s. */
static bool is_excused(const struct error *err)
{
    return strstr(err->text, "trailing commas not allowed") != NULL ||
           strstr(err->text, "duration must be greater than 0") != NULL ||
           strstr(err->text, "by zero") != NULL;
}

static void check(bool good)
{
    if (!good)
        abort();
}

static void print_all(const struct query_tree *tree, struct buf *line, struct buf *pretty)
{
    struct buf json = {0};

    promql_print(tree->root, line);
    promql_pretty(tree->root, pretty);
    promql_print_json(tree->root, &json);
    buf_destroy(&json);
}

static struct query_tree *parse_again(const struct buf *text)
{
    struct error err;
    struct query_tree *tree = promql_parse((const char *)text->data, text->len, NULL, NULL, &err);

    check(tree != NULL || is_excused(&err));
    return tree;
}

/* Whatever is printed once is printed again, from either of its forms. */
static void check_fixpoint(const struct query_tree *tree)
{
    struct buf line = {0}, pretty = {0}, again = {0}, line2 = {0}, pretty2 = {0};
    struct query_tree *second, *third;

    print_all(tree, &line, &pretty);
    second = parse_again(&line);
    third = parse_again(&pretty);
    if (second != NULL && third != NULL) {
        print_all(second, &line2, &pretty2);
        promql_print(third->root, &again);
        check(again.len == line2.len && memcmp(again.data, line2.data, again.len) == 0);
    }
    query_tree_free(second);
    query_tree_free(third);
    buf_destroy(&line);
    buf_destroy(&pretty);
    buf_destroy(&again);
    buf_destroy(&line2);
    buf_destroy(&pretty2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct promql_options none = {true, true, true, true, true, true, NULL};
    struct error err;
    struct query_tree *tree = promql_parse((const char *)data, size, &none, NULL, &err);
    struct query_facts facts;

    query_tree_free(tree);
    tree = promql_parse((const char *)data, size, NULL, NULL, &err);
    if (tree == NULL) {
        check(err.text[0] != '\0');
        return 0;
    }
    query_tree_facts(tree, &facts);
    check_fixpoint(tree);
    check(query_tree_add_matcher(tree, MATCH_EQUAL, "tenant", 6, "a", 1, NULL, &err) == 0);
    query_tree_clamp_ranges(tree, 1000000000);
    query_tree_clamp_steps(tree, 1000000000);
    check_fixpoint(tree);
    query_tree_free(tree);
    return 0;
}
