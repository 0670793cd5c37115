/* matcher.c - see matcher.h. */
#include "model/matcher.h"

#include "base/mem.h"

int matcher_init(struct matcher *matcher, enum matcher_type type, const char *name, size_t name_len,
                 const char *value, size_t value_len, struct regex_cache *cache, struct error *err)
{
    *matcher = (struct matcher){.type = type};
    if (type == MATCH_REGEX || type == MATCH_NOT_REGEX) {
        matcher->regex = regex_compile(cache, value, value_len, err);
        if (matcher->regex == NULL)
            return -1;
    }
    matcher->name = mem_dup(name, name_len);
    matcher->name_len = (uint32_t)name_len;
    matcher->value = mem_dup(value, value_len);
    matcher->value_len = (uint32_t)value_len;
    matcher->matches_empty = matcher_accepts(matcher, "", 0);
    return 0;
}

void matcher_copy(struct matcher *copy, const struct matcher *from)
{
    *copy = *from;
    copy->name = mem_dup(from->name, from->name_len);
    copy->value = mem_dup(from->value, from->value_len);
    if (from->regex != NULL)
        copy->regex = regex_ref(from->regex);
}

void matcher_destroy(struct matcher *matcher)
{
    mem_free(matcher->name);
    mem_free(matcher->value);
    regex_unref(matcher->regex);
    *matcher = (struct matcher){0};
}

bool matcher_accepts(const struct matcher *matcher, const char *value, size_t len)
{
    switch (matcher->type) {
    case MATCH_EQUAL:
        return len == matcher->value_len && memcmp(value, matcher->value, len) == 0;
    case MATCH_NOT_EQUAL:
        return len != matcher->value_len || memcmp(value, matcher->value, len) != 0;
    case MATCH_REGEX:
        return regex_matches(matcher->regex, value, len);
    case MATCH_NOT_REGEX:
        return !regex_matches(matcher->regex, value, len);
    }
    return false;
}

bool matchers_accept(const struct matcher *matchers, size_t count, const struct labels *labels)
{
    for (size_t i = 0; i < count; i++) {
        struct label label = {.value = "", .value_len = 0};

        labels_find(labels, matchers[i].name, matchers[i].name_len, &label);
        if (!matcher_accepts(&matchers[i], label.value, label.value_len))
            return false;
    }
    return true;
}

bool matchers_accept_list(const struct matcher *matchers, size_t count, const struct label *list,
                          size_t label_count)
{
    for (size_t i = 0; i < count; i++) {
        struct label found = {.value = ""};

        for (size_t j = 0; j < label_count; j++) {
            if (list[j].name_len == matchers[i].name_len &&
                memcmp(list[j].name, matchers[i].name, matchers[i].name_len) == 0)
                found = list[j];
        }
        if (!matcher_accepts(&matchers[i], found.value, found.value_len))
            return false;
    }
    return true;
}

const char *matcher_operator(enum matcher_type type)
{
    static const char *const texts[] = {"=", "!=", "=~", "!~"};

    return texts[type];
}
